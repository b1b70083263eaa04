package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.personalization.Window
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.Artifact

class WindowTest {
    @TempDir
    lateinit var folder: File

    private val artifact = Artifact.read(Shipped.tflite)
    private val examples = readReplay(artifact)

    @Test
    fun `it keeps the newest, within a number and within bytes`() {
        val path = folder.resolve("window")
        val window = Window(path, artifact, mostUtterances = 5, mostBytes = 1_000_000)
        examples.take(7).forEach(window::add)
        path.resolve(".00000009.safetensors.tmp").writeText("left by a kill")
        val again = Window(path, artifact, mostUtterances = 5, mostBytes = 1_000_000)
        assertEquals(listOf(2, 3, 4, 5, 6), again.numbers)
        assertEquals(examples.slice(2..6).map { it.text }, again.numbers.map { again.read(it).text })
        assertEquals(examples[6].frames.values.toList(), again.read(6).frames.values.toList()) // of eight bits already
        assertEquals(path.listFiles()!!.sumOf { it.length() }, again.diskBytes())
        assertEquals(5, path.list()!!.size)

        val narrow = Window(path, artifact, mostUtterances = 5, mostBytes = again.diskBytes() / 2)
        assertTrue(narrow.diskBytes() <= again.diskBytes() && narrow.numbers.size in 1..4)
        narrow.add(examples[7])
        assertEquals(7, narrow.numbers.last())
        assertEquals(0, Window(path, artifact, 5, 100_000).apply { forgetAll() }.numbers.size)
    }

    @Test
    fun `what it cannot keep is told`() {
        fun told(problem: () -> Unit) = assertThrows(InputError::class.java) { problem() }.message!!
        assertTrue("expected room for a batch of 4 utterances or more, got 3" in told { Window(folder, artifact, 3, 100) })
        assertTrue("give the window more" in told { Window(folder, artifact, 5, mostBytes = 100).add(examples[0]) })
        val window = Window(folder, artifact, 5, 1_000_000)
        folder.resolve(".00000000.safetensors.tmp").mkdir() // in the way of the next utterance
        assertTrue("is the storage full?" in told { window.add(examples[0]) })
        folder.resolve("00000003.safetensors").writeText("not an utterance")
        assertTrue(told { window.read(3) }.endsWith("delete it"))
    }
}
