package tfliteasr.jvm

import java.io.File
import java.nio.ByteBuffer
import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.javacpp.PointerPointer
import org.bytedeco.tensorflowlite.BuiltinOpResolverWithXNNPACK
import org.bytedeco.tensorflowlite.FlatBufferModel
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.InterpreterBuilder
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.*
import tfliteasr.InputError
import tfliteasr.runtime.DType
import tfliteasr.runtime.SignatureModel
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.filePart

/**
 * The TFLite library, with XNNPACK, called from a desktop JVM.
 *
 * @param path the .tflite.
 * @param threads for one call.
 * @param signatures those that are loaded; null: all.
 */
class LiteRtModel(
    private val path: File,
    private val threads: Int = 1,
    private val signatures: Set<String>? = null,
) : SignatureModel {
    private val part = signatures?.let { filePart(path, it) } // which the model reads as long as it lives
    private val model = part?.let { FlatBufferModel.BuildFromBuffer(BytePointer(it), it.capacity().toLong()) }
        ?: FlatBufferModel.BuildFromFile(path.path)
        ?: throw InputError("$path: the TFLite runtime cannot load it")
    private val resolver = BuiltinOpResolverWithXNNPACK()
    private val interpreter = Interpreter(null as Pointer?)
    private val runners = HashMap<String, Runner>()

    init {
        val builder = InterpreterBuilder(model, resolver)
        builder.SetNumThreads(threads)
        check(builder.apply(interpreter), "$path: the TFLite runtime has not all of its ops")
        builder.close()
    }

    private val keys = interpreter.signature_keys().let { keys -> (0 until keys.size()).map { keys.get(it).string } }

    override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
        if (name !in keys) throw InputError("$path: no signature '$name'; there are: ${keys.sorted().joinToString()}")
        val runner = runners.getOrPut(name) { Runner(name) }
        runner.write(inputs)
        check(runner.handle.Invoke(), "$path: signature $name failed")
        return (outputs ?: runner.outputs).associateWith(runner::read)
    }

    override fun anew() = LiteRtModel(path, threads, signatures)

    override fun close() {
        interpreter.close() // and with it what its runners hold
        resolver.close()
        model.close()
    }

    private inner class Runner(val name: String) {
        val handle: SignatureRunner = interpreter.GetSignatureRunner(name)
        val outputs = names(handle.output_names(), handle.output_size())
        private val inputs = names(handle.input_names(), handle.input_size())

        init {
            check(handle.AllocateTensors(), "$path: no memory for signature $name")
        }

        fun write(values: Map<String, Tensor>) {
            if (values.keys != inputs) {
                throw InputError("signature $name: expected inputs ${inputs.sorted()}, got ${values.keys.sorted()}")
            }
            for ((input, given) in values) {
                val tensor = handle.input_tensor(input)
                val value = given.asOneValue(shape(tensor))
                val expected = Tensor.kind(dtype(tensor), shape(tensor))
                if (expected != value.kind()) {
                    throw InputError("signature $name, input $input: expected $expected, got ${value.kind()}")
                }
                val bytes = Pointer(value.bytes())
                check(TfLiteTensorCopyFromBuffer(tensor, bytes, value.data.capacity().toLong()), "signature $name, input $input")
            }
        }

        fun read(output: String): Tensor {
            val tensor = handle.output_tensor(output)
                ?: throw InputError("signature $name: no output $output; there are ${outputs.sorted()}")
            val result = Tensor(dtype(tensor), shape(tensor))
            val data: ByteBuffer = BytePointer(TfLiteTensorData(tensor)).capacity(TfLiteTensorByteSize(tensor)).asByteBuffer()
            result.bytes().put(data)
            return result
        }

        private fun names(vector: PointerPointer<*>?, size: Long): Set<String> =
            (0 until size).mapTo(LinkedHashSet()) { BytePointer(vector!!.get(it)).string } // null when there are none

        private fun shape(tensor: TfLiteTensor) = IntArray(TfLiteTensorNumDims(tensor)) { TfLiteTensorDim(tensor, it) }

        private fun dtype(tensor: TfLiteTensor): DType = when (val type = TfLiteTensorType(tensor)) {
            kTfLiteFloat32 -> DType.FLOAT32
            kTfLiteInt32 -> DType.INT32
            kTfLiteInt64 -> DType.INT64
            kTfLiteInt8 -> DType.INT8
            kTfLiteBool -> DType.BOOL
            else -> throw InputError("$path: signature $name has a tensor of TFLite's type $type, which is not known")
        }
    }

    private fun check(status: Int, problem: String) {
        if (status != kTfLiteOk) throw InputError("$problem (status $status)")
    }
}
