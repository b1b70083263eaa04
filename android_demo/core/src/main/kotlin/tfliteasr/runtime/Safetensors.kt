package tfliteasr.runtime

import java.io.EOFException
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.writeAll
import tfliteasr.writeAtomically

/**
 * The safetensors format: eight bytes of header length, little-endian; the header, JSON that names each tensor's dtype,
 * shape and place; the tensors' bytes.
 */
class Safetensors(val metadata: Map<String, String>, val tensors: Map<String, Tensor>) {
    /** Write a file that appears under its name complete or not at all. */
    fun save(path: File) = writeAtomically(path, ::write)

    /** How long the file is. */
    val bytes: Long get() = head().capacity() + tensors.values.sumOf { it.data.capacity().toLong() }

    private fun write(channel: FileChannel) {
        writeAll(channel, head())
        tensors.values.forEach { writeAll(channel, it.bytes()) }
    }

    private fun head(): ByteBuffer {
        val header = LinkedHashMap<String, Any>()
        if (metadata.isNotEmpty()) header["__metadata__"] = metadata
        var offset = 0L
        for ((name, tensor) in tensors) {
            val end = offset + tensor.data.capacity()
            header[name] = mapOf(
                "dtype" to tensor.dtype.stored,
                "shape" to tensor.shape.asList(),
                "data_offsets" to listOf(offset, end),
            )
            offset = end
        }
        val json = Json.write(header).toByteArray()
        val padded = (json.size + 7) / 8 * 8
        val head = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN).putLong(padded.toLong()).put(json)
        while (head.hasRemaining()) head.put(' '.code.toByte())
        head.flip()
        return head
    }

    companion object {
        private const val LONGEST_HEADER = 100_000_000L // as the reference implementation has it

        /**
         * Read a file whole.
         *
         * @param check is given the metadata before any tensor is read: another program's file may be larger than the
         *     memory.
         */
        fun read(path: File, check: (Map<String, String>) -> Unit = {}): Safetensors = RandomAccessFile(path, "r").use { file ->
            val size = file.length()
            val length = if (size < 8) -1 else java.lang.Long.reverseBytes(file.readLong())
            if (length !in 2..LONGEST_HEADER || length > size - 8) throw InputError("its header is not whole")
            val json = ByteArray(length.toInt()).also(file::readFully)
            val header = JsonObject.parse(String(json), "header")
            val metadata = if ("__metadata__" in header) header.at("__metadata__") else null
            val texts = metadata?.names?.associateWith { metadata.string(it) } ?: emptyMap()
            check(texts)
            val start = 8 + length
            val found = LinkedHashMap<String, Tensor>()
            var bytes = 0L
            for (name in header.names - "__metadata__") {
                found[name] = tensor(file.channel, header.at(name), start, size).also { bytes += it.data.capacity() }
            }
            if (start + bytes != size) throw InputError("expected ${start + bytes} bytes, got $size")
            Safetensors(texts, found)
        }

        private fun tensor(channel: FileChannel, entry: JsonObject, start: Long, size: Long): Tensor {
            val stored = entry.string("dtype")
            val dtype = DType.entries.firstOrNull { it.stored == stored }
                ?: throw InputError("${entry.place}: dtype $stored is not known")
            val shape = entry.shape("shape")
            val offsets = entry.shape("data_offsets")
            if (offsets.size != 2) throw InputError("${entry.place}: expected two offsets")
            val (from, to) = offsets
            if (shape.any { it < 0 } || from < 0 || start + to > size || to - from != byteSize(dtype, shape)) {
                throw InputError("${entry.place}: its place in the file does not fit its shape")
            }
            val data = Tensor.direct(to - from)
            var at = start + from
            while (data.hasRemaining()) {
                val count = channel.read(data, at)
                if (count < 0) throw EOFException("the file ends too early")
                at += count
            }
            return Tensor(dtype, shape, data)
        }

        private fun byteSize(dtype: DType, shape: IntArray): Int = try {
            Tensor.byteSize(dtype, shape)
        } catch (_: ArithmeticException) {
            -1
        }
    }
}

/** [block], with what goes wrong in reading a file told as [InputError]. */
internal fun <T> reading(problem: (String) -> String, block: () -> T): T = try {
    block()
} catch (error: IOException) {
    throw InputError(problem(error.message ?: error.javaClass.simpleName), error)
}
