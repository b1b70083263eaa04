package tfliteasr.audio

import java.io.File
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
        for (size in listOf(0, 3, 11, 20, 43, 44, 100, bytes.size - 1)) {
            path.writeBytes(bytes.copyOf(size))
            val error = assertThrows(InputError::class.java) { readWav(path, "m.jsonl:2") }
            assertTrue(error.message!!.startsWith("m.jsonl:2: $path: "), error.message)
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
