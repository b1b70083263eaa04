package tfliteasr.runtime

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.round
import tfliteasr.InputError

/*
 * What the lower layer groups put out for an utterance, stored, so that training steps start above them.
 *
 * The plan `cached` trains the groups of its last call alone. The calls before it update nothing: as long as the weights of the
 * lower groups stay as they are, their outputs depend on the utterance only and are computed once.
 */

/** The name of the plan. */
const val CACHED = "cached"

/** The output that holds the steps of each row. */
private const val LENGTHS = "lengths"

/** Behind the name of an output that is stored in 8 bits. */
private const val SCALES = ".scales"

private const val LEVELS = 127f
private const val SMALLEST = 1e-12f // of a scale times LEVELS: a step of zeros

/**
 * One utterance without its frames: what the lower groups put out for them is stored.
 *
 * @property stored one row of each output, see [packedRow]: in memory, or in a file.
 */
class CachedExample internal constructor(
    private val stored: Stored,
    override val frameCount: Int,
    override val tokens: IntArray,
    val text: String,
    override val where: String = "",
    val weight: Int = 1,
) : Row {
    /** That are stored for it. */
    val bytes: Long get() = stored.bytes

    /** Its row of each output by name: activations [steps, width] float32, other values as they are. */
    internal fun read(): Map<String, Tensor> = unpackedRow(stored.read())
}

/** Where the rows of an utterance are. */
internal sealed interface Stored {
    val bytes: Long

    fun read(): Map<String, Tensor>

    class InMemory(private val row: Safetensors) : Stored {
        override val bytes = row.bytes

        override fun read(): Map<String, Tensor> = row.tensors
    }

    class InFile(private val path: File) : Stored {
        override val bytes get() = path.length()

        override fun read(): Map<String, Tensor> = try {
            reading({ it }) { Safetensors.read(path) }.tensors
        } catch (error: InputError) {
            throw InputError("$path: stored activations are not there or damaged (${error.message}); train again", error)
        }
    }
}

/**
 * One row of a batch's outputs, to be stored.
 *
 * @param outputs of the lower groups, by name: activations [batch, steps, width]; `lengths` and other values [batch].
 * @param row of the batch.
 * @param bits of an activation: 32, or 8 with a scale for each step, max |x| / 127. Steps past the row's length are not stored.
 */
internal fun packedRow(outputs: Map<String, Tensor>, row: Int, bits: Int): Safetensors {
    if (bits != 8 && bits != 32) throw InputError("cached activations: expected 8 or 32 bits, got $bits")
    val steps = outputs.getValue(LENGTHS).int(row)
    val tensors = LinkedHashMap<String, Tensor>()
    for ((name, value) in outputs) {
        if (value.shape.size == 1) {
            tensors[name] = value.part(row, 1, intArrayOf(1))
            continue
        }
        val (_, most, width) = value.shape
        val activations = value.floats(row * most * width, steps * width)
        if (bits == 32) {
            tensors[name] = Tensor.floats(steps, width).put(0, activations)
        } else {
            val scales = FloatArray(steps) { step ->
                var top = SMALLEST
                for (at in step * width until (step + 1) * width) top = maxOf(top, abs(activations[at]))
                top / LEVELS
            }
            val small = Tensor(DType.INT8, intArrayOf(steps, width))
            val bytes = small.bytes()
            activations.forEachIndexed { at, x -> bytes.put(round(x / scales[at / width]).toInt().toByte()) }
            tensors[name + SCALES] = Tensor.floats(steps, 1).put(0, scales)
            tensors[name] = small
        }
    }
    return Safetensors(emptyMap(), tensors)
}

/** What [packedRow] stored: activations [steps, width] float32, other values [1] as they were. */
internal fun unpackedRow(stored: Map<String, Tensor>): Map<String, Tensor> =
    stored.filterKeys { !it.endsWith(SCALES) }.mapValues { (name, value) ->
        val scales = stored[name + SCALES]?.floats() ?: return@mapValues value
        val width = value.shape[1]
        val bytes = value.bytes()
        Tensor.floats(value.shape[0], width).put(0, FloatArray(value.elements) { bytes.get() * scales[it / width] })
    }

/** A batch of stored outputs in the shapes of the call that takes them; rows past the examples and steps past a length are 0. */
internal fun collateRows(examples: List<CachedExample>, inputs: List<TensorSpec>): Map<String, Tensor> {
    val rows = examples.map { it.read() }
    return inputs.associate { input ->
        val batch = Tensor(input.dtype, input.shape.toIntArray())
        val rowBytes = batch.data.capacity() / input.shape[0]
        val target = batch.bytes()
        rows.forEachIndexed { index, row ->
            target.position(index * rowBytes)
            target.put(row.getValue(input.name).bytes())
        }
        input.name to batch
    }
}

/** [count] elements from element [at] on, in a shape of their own. */
private fun Tensor.part(at: Int, count: Int, shape: IntArray): Tensor {
    val part = Tensor(dtype, shape)
    val source: ByteBuffer = bytes().order(ByteOrder.LITTLE_ENDIAN)
    source.position(at * dtype.bytes)
    source.limit((at + count) * dtype.bytes)
    part.bytes().put(source)
    return part
}
