package tfliteasr.android

import java.io.File
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.TensorFlowLite
import tfliteasr.InputError
import tfliteasr.runtime.DType
import tfliteasr.runtime.SignatureModel
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.filePart

/**
 * The TFLite library of Android. This file alone names its classes, which TFLite 2.16 and LiteRT 1.x both have in the package
 * `org.tensorflow.lite`.
 */
object InterpreterRuntime : ModelRuntime {
    override val version: String get() = "tensorflow-lite ${TensorFlowLite.runtimeVersion()}"

    override fun open(path: File, threads: Int, signatures: Set<String>?): SignatureModel =
        InterpreterModel(path, threads, signatures)
}

/** Some signatures of a `.tflite` in the TFLite library of Android, with XNNPACK; direct buffers go in and out. */
class InterpreterModel(
    private val path: File,
    private val threads: Int,
    private val signatures: Set<String>? = null,
) : SignatureModel {
    private val interpreter = told("$path: the TFLite runtime cannot load it") {
        val options = Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true)
        signatures?.let { filePart(path, it) }?.let { Interpreter(it, options) } ?: Interpreter(path, options)
    }
    private val outputsOf = interpreter.signatureKeys.associateWith { interpreter.getSignatureOutputs(it).toList() }

    override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
        val all = outputsOf[name]
            ?: throw InputError("$path: no signature '$name'; there are: ${outputsOf.keys.sorted().joinToString()}")
        return told("$path: signature $name") {
            val buffers: Map<String, Any> = inputs.mapValues { it.value.bytes() }
            interpreter.runSignature(if (buffers.isEmpty()) NoInputs else buffers, HashMap(), name)
            (outputs ?: all).associateWith { read(name, it) }
        }
    }

    private fun read(signature: String, output: String): Tensor {
        val tensor = interpreter.getOutputTensorFromSignature(output, signature)
        val dtype = DType.of(tensor.dataType().toString().lowercase())
            ?: throw InputError("$path: $output is ${tensor.dataType()}, which is not known")
        return Tensor(dtype, tensor.shape()).also { it.bytes().put(tensor.asReadOnlyBuffer()) }
    }

    override fun anew() = InterpreterModel(path, threads, signatures)

    override fun close() = interpreter.close()

    private fun <T> told(problem: String, block: () -> T): T = try {
        block()
    } catch (error: IllegalArgumentException) {
        throw InputError("$problem: ${error.message}", error)
    } catch (error: IllegalStateException) {
        throw InputError("$problem: ${error.message}", error)
    }

    /**
     * The inputs of a signature that has none, such as `get_weights`: the library refuses a map that says it is empty, and
     * asks for nothing else than its entries.
     */
    private object NoInputs : AbstractMap<String, Any>() {
        override val entries: Set<Map.Entry<String, Any>> = emptySet()

        override fun isEmpty(): Boolean = false
    }
}
