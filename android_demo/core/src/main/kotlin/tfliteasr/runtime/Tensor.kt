package tfliteasr.runtime

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What the elements of a tensor are; [code] is its name in NumPy and NAME.json, [stored] in safetensors. */
enum class DType(val code: String, val stored: String, val bytes: Int) {
    FLOAT32("float32", "F32", 4),
    INT32("int32", "I32", 4),
    INT64("int64", "I64", 8),
    INT8("int8", "I8", 1),
    BOOL("bool", "BOOL", 1);

    companion object {
        fun of(code: String): DType? = entries.firstOrNull { it.code == code }
    }
}

/**
 * A tensor in memory that a runtime can read and write without copying: direct, in C order, little-endian as every
 * Android device is.
 */
class Tensor(val dtype: DType, val shape: IntArray, val data: ByteBuffer = direct(byteSize(dtype, shape))) {
    init {
        require(data.isDirect && data.capacity() == byteSize(dtype, shape)) {
            "expected a direct buffer of ${byteSize(dtype, shape)} bytes for ${kind()}, got ${data.capacity()}"
        }
        data.order(ByteOrder.LITTLE_ENDIAN)
    }

    val elements: Int get() = data.capacity() / dtype.bytes

    /** As errors name it: `float32 [4, 600, 40]`. */
    fun kind(): String = kind(dtype, shape)

    /** The bytes from the first to the last, whatever was read of them before. */
    fun bytes(): ByteBuffer = data.duplicate().order(ByteOrder.LITTLE_ENDIAN).apply { clear() }

    fun float(index: Int): Float = data.getFloat(4 * index)

    fun int(index: Int): Int = data.getInt(4 * index)

    fun floats(): FloatArray = floats(0, elements)

    /** [count] values from element [at] on. */
    fun floats(at: Int, count: Int): FloatArray = FloatArray(count).also { section(at).asFloatBuffer().get(it) }

    fun ints(): IntArray = IntArray(elements).also { bytes().asIntBuffer().get(it) }

    /** Write [values] from element [at] on. */
    fun put(at: Int, values: FloatArray): Tensor = apply { section(at).asFloatBuffer().put(values) }

    fun put(at: Int, values: IntArray): Tensor = apply { section(at).asIntBuffer().put(values) }

    private fun section(at: Int): ByteBuffer = bytes().apply { position(at * dtype.bytes) }.slice().order(ByteOrder.LITTLE_ENDIAN)

    /** The same memory in the shape of one value, [] or [1], where this is one of these and [wanted] the other; else itself. */
    fun asOneValue(wanted: IntArray): Tensor =
        if (setOf(shape.toList(), wanted.toList()) == setOf(emptyList(), listOf(1))) Tensor(dtype, wanted, data) else this

    fun copy(): Tensor = Tensor(dtype, shape).also { it.bytes().put(bytes()) }

    companion object {
        fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN)

        fun byteSize(dtype: DType, shape: IntArray): Int = shape.fold(dtype.bytes, Math::multiplyExact)

        fun kind(dtype: DType, shape: IntArray): String = "${dtype.code} [${shape.joinToString(", ")}]"

        fun floats(vararg shape: Int): Tensor = Tensor(DType.FLOAT32, shape)

        fun ints(vararg shape: Int): Tensor = Tensor(DType.INT32, shape)

        fun scalar(value: Float): Tensor = floats().put(0, floatArrayOf(value))

        /** An input of one value: [1]. */
        fun oneValue(value: Float): Tensor = floats(1).put(0, floatArrayOf(value))
    }
}
