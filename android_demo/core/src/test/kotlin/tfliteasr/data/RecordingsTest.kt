package tfliteasr.data

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.StorageError
import tfliteasr.audio.Sound
import tfliteasr.audio.readWav
import tfliteasr.fillStorage

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
        assertThrows(StorageError::class.java) { recordings.keep(sound, "TWO") }
        assertEquals(before, folder.resolve("r/manifest.jsonl").readText())
        assertFalse(folder.resolve("r/00002.wav").exists())
    }

    @ParameterizedTest
    @ValueSource(strings = ["00002.wav", "manifest.jsonl"])
    fun `a full storage is told, and what was kept stays`(written: String) {
        val recordings = Recordings(folder.resolve("r"))
        recordings.keep(sound, "ONE")
        fillStorage(folder.resolve("r/.$written.tmp"))
        val error = assertThrows(StorageError::class.java) { recordings.keep(sound, "TWO") }
        assertTrue("is the storage full?" in error.message!! && "No space left on device" in error.message!!, error.message)
        assertEquals(listOf("ONE"), Recordings(folder.resolve("r")).all().map { it.text })
        assertEquals(setOf("00001.wav", "manifest.jsonl"), folder.resolve("r").list()!!.toSet())
        assertEquals("TWO", recordings.keep(sound, "TWO").text, "there is room again")
    }

    @Test
    fun `a clock that goes back overwrites nothing`() {
        val recordings = Recordings(folder.resolve("r"))
        val first = recordings.keep(sound, "ONE").audio
        assertTrue(first.setLastModified(4_000_000_000_000)) // made in the year 2096, by the clock before it was set right
        assertEquals(listOf("00001.wav", "00002.wav"), listOf(first.name, recordings.keep(sound, "TWO").audio.name))
        assertEquals(listOf("ONE", "TWO"), recordings.all().map { it.text })
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
