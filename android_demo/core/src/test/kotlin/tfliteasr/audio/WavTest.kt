package tfliteasr.audio

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError

class WavTest {
    @TempDir
    lateinit var folder: File

    private val samples = FloatArray(1000) { (it % 200 - 100) / 100f }

    @Test
    fun `what is written is read back to 16 bits`() {
        val path = folder.resolve("a.wav")
        writeWav(path, Sound(samples, 16000))
        val found = readWav(path)
        assertEquals(16000, found.sampleRate)
        assertEquals(samples.size, found.samples.size)
        assertTrue(samples.indices.all { abs(samples[it] - found.samples[it]) < 1e-4 })
    }

    @Test
    fun `every cut is told as one`() {
        val path = folder.resolve("a.wav")
        writeWav(path, Sound(samples, 16000))
        val bytes = path.readBytes()
        for (size in listOf(0, 3, 11, 20, 43, 44, 100, bytes.size - 400)) {
            path.writeBytes(bytes.copyOf(size))
            val error = assertThrows(InputError::class.java) { readWav(path, "m.jsonl:2") }
            assertTrue(error.message!!.startsWith("m.jsonl:2: $path: "), error.message)
        }
    }

    private val list = "LIST".toByteArray() + byteArrayOf(4, 0, 0, 0) + "INFO".toByteArray()

    private fun read(content: ByteArray, segment: Segment? = null): Sound =
        readWav(folder.resolve("b.wav").apply { writeBytes(content) }, "m.jsonl:2", segment)

    private fun withLength(bytes: ByteArray, length: Int) = bytes.copyOf().apply {
        ByteBuffer.wrap(this).order(ByteOrder.LITTLE_ENDIAN).putInt(40, length)
    }

    /** Stereo or more, 16-bit. */
    private fun interleaved(vararg channels: FloatArray): ByteArray {
        val size = channels.sumOf { it.size }
        writeWav(folder.resolve("c.wav"), Sound(FloatArray(size) { channels[it % channels.size][it / channels.size] }, 16000))
        return folder.resolve("c.wav").readBytes().apply {
            ByteBuffer.wrap(this).order(ByteOrder.LITTLE_ENDIAN).putShort(22, channels.size.toShort())
        }
    }

    @Test
    fun `a header that gives too little is not believed`() {
        writeWav(folder.resolve("a.wav"), Sound(samples, 16000))
        val bytes = folder.resolve("a.wav").readBytes()
        for (content in listOf(withLength(bytes, 1000), withLength(bytes, 0), withLength(bytes, 0) + list)) {
            val found = read(content)
            assertEquals(1000, found.samples.size)
            assertEquals(listOf(LESS), found.notices)
        }
        for (content in listOf(bytes + list, bytes + ByteArray(512), withLength(bytes, -1), withLength(bytes, -1) + list)) {
            val found = read(content)
            assertEquals(1000 to emptyList<String>(), found.samples.size to found.notices)
        }
        assertEquals(listOf(MORE), read(withLength(bytes, 2010)).notices)
        assertThrows(InputError::class.java) { read(withLength(bytes, 4000)) }
        val joined = read(bytes + list + withLength(bytes, 0))
        assertEquals(2000 to listOf(LESS, JOINED), joined.samples.size to joined.notices)
        assertEquals(joined.samples[200], joined.samples[1200])
    }

    @Test
    fun `a segment is read`() {
        val ramp = FloatArray(16000) { it / 20000f }
        writeWav(folder.resolve("a.wav"), Sound(ramp, 16000))
        val bytes = folder.resolve("a.wav").readBytes()
        for ((offset, duration, first, last) in listOf(listOf(0.0, 0.25, 0, 4000), listOf(0.5, null, 8000, 16000), listOf(0.9, 0.15, 14400, 16000))) {
            val found = read(bytes, Segment(offset as Double, duration as Double?)).samples
            assertEquals((last as Int) - (first as Int), found.size)
            assertTrue(found.indices.all { abs(found[it] - ramp[first + it]) < 1e-4 })
        }
        val across = read(bytes + bytes, Segment(0.75, 0.5)).samples
        assertEquals(ramp[12000], across[0], 1e-4f)
        assertEquals(ramp[3999], across[7999], 1e-4f)
        for (segment in listOf(Segment(1.0, null), Segment(0.5, 0.7), Segment(9.0, 0.1))) {
            val error = assertThrows(InputError::class.java) { read(bytes, segment) }
            assertTrue(error.message!!.startsWith("m.jsonl:2: ") && "within the 1.0 s" in error.message!!, error.message)
        }
    }

    @Test
    fun `no speech is lost when channels are mixed`() {
        val (inverse, silent) = FloatArray(1000) { -samples[it] } to FloatArray(1000)
        val half = FloatArray(1000) { samples[it] / 2 }
        for ((content, expected, told) in listOf(
            Triple(interleaved(samples, inverse), samples, "took the loudest of 2 channels, mixed they cancel each other"),
            Triple(interleaved(samples, silent), samples, "took one of 2 channels, there is no sound in the others"),
            Triple(interleaved(silent, samples, samples), samples, "mixed 3 channels down to one, 1 without sound left out"),
            Triple(interleaved(samples, samples), samples, "mixed 2 channels down to one"),
            Triple(interleaved(half, inverse), inverse, "took the loudest of 2 channels, mixed they cancel each other"),
        )) {
            val found = read(content)
            assertEquals(listOf(told), found.notices)
            assertEquals(1000, found.samples.size)
            assertTrue(found.samples.indices.all { abs(found.samples[it] - expected[it]) < 2e-4 })
        }
    }

    @Test
    fun `another format is told`() {
        val path = folder.resolve("a.wav")
        writeWav(path, Sound(samples, 16000))
        val bytes = path.readBytes()
        bytes[34] = 8 // bits a sample
        path.writeBytes(bytes)
        assertTrue(assertThrows(InputError::class.java) { readWav(path) }.message!!.contains("expected 16-bit PCM"))
        path.writeText("not sound at all")
        assertTrue(assertThrows(InputError::class.java) { readWav(path) }.message!!.contains("expected a WAV file"))
    }

    @Test
    fun `a recording is judged`() {
        fun judged(seconds: Double, level: Float) =
            RecordingCheck.of(Sound(FloatArray((seconds * 16000).toInt()) { if (it % 2 == 0) level else -level }, 16000), 6.0)
        assertEquals(RecordingCheck.GOOD, judged(1.0, 0.3f))
        assertEquals(RecordingCheck.TOO_SHORT, judged(0.1, 0.3f))
        assertEquals(RecordingCheck.TOO_LONG, judged(6.1, 0.3f))
        assertEquals(RecordingCheck.SILENT, judged(1.0, 0.001f))
        assertEquals(RecordingCheck.TOO_LOUD, judged(1.0, 1f))
    }
}
