package tfliteasr.data

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.audio.Sound
import tfliteasr.audio.readWav

class RecordingsTest {
    @TempDir
    lateinit var folder: File

    private val sound = Sound(FloatArray(1600) { 0.1f }, 16000)

    @Test
    fun `what is kept is there for the next start`() {
        Recordings(folder.resolve("r")).keep(sound, "ONE")
        Recordings(folder.resolve("r")).keep(sound, "TWO")
        val all = Recordings(folder.resolve("r")).all()
        assertEquals(listOf("ONE", "TWO"), all.map { it.text })
        assertEquals(1600, readWav(all[1].audio).samples.size)
        assertTrue(Recordings(folder.resolve("r")).bytes() > 2 * 3200)
    }

    @Test
    fun `a file that lost its row is not overwritten`() {
        val recordings = Recordings(folder.resolve("r"))
        recordings.keep(sound, "ONE")
        val orphan = folder.resolve("r/00007.wav").apply { writeText("left by a kill between file and row") }
        assertEquals("00008.wav", recordings.keep(sound, "TWO").audio.name)
        assertEquals("left by a kill between file and row", orphan.readText())
    }

    @Test
    fun `when storing fails the earlier ones stay`() {
        val recordings = Recordings(folder.resolve("r"))
        recordings.keep(sound, "ONE")
        val before = folder.resolve("r/manifest.jsonl").readText()
        folder.resolve("r/.manifest.jsonl.tmp").mkdir() // in the way of the next manifest
        assertThrows(InputError::class.java) { recordings.keep(sound, "TWO") }
        assertEquals(before, folder.resolve("r/manifest.jsonl").readText())
        assertFalse(folder.resolve("r/00002.wav").exists())
    }

    @Test
    fun `nothing is left when all is deleted`() {
        val recordings = Recordings(folder.resolve("r"))
        recordings.keep(sound, "ONE")
        recordings.deleteAll()
        assertFalse(folder.resolve("r").exists())
        assertEquals(emptyList<Utterance>(), recordings.all())
    }
}
