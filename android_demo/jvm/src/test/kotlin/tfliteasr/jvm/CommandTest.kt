package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.audio.Sound
import tfliteasr.audio.writeWav

/** The command line, as a process of its own. */
class CommandTest {
    @TempDir
    lateinit var folder: File

    private class Result(val code: Int, val out: String, val errors: String)

    private fun run(vararg arguments: String): Result {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val command = listOf(java, "-cp", System.getProperty("java.class.path"), "tfliteasr.jvm.MainKt", *arguments)
        val errors = folder.resolve("errors")
        val process = ProcessBuilder(command).redirectError(errors).start()
        val out = process.inputStream.bufferedReader().readText()
        return Result(process.waitFor(), out, errors.readText())
    }

    @Test
    fun `personalize learns from a manifest and transcribe takes what it wrote`() {
        val rows = listOf("ONE", "TWO", "STOP").mapIndexed { index, text ->
            writeWav(folder.resolve("$index.wav"), Sound(FloatArray(9000) { 0.2f * (it % (40 + 7 * index)) / 40 - 0.1f }, 16000))
            Json.write(mapOf("audio" to "$index.wav", "text" to text))
        }
        val manifest = folder.resolve("m.jsonl").apply { writeText(rows.joinToString("\n")) }
        val checkpoint = folder.resolve("c.safetensors")
        val learned = run("personalize", Shipped.tflite.path, manifest.path, "--epochs", "2", "--out", checkpoint.path)
        assertEquals(0, learned.code, learned.errors)
        val result = Json.parse(learned.out) as Map<*, *>
        assertEquals(checkpoint.path, result["checkpoint"])
        assertEquals(2L, result["steps"])
        assertTrue(checkpoint.isFile)
        val heard = run("transcribe", Shipped.tflite.path, folder.resolve("0.wav").path, "--checkpoint", checkpoint.path)
        assertEquals(0, heard.code, heard.errors)
    }

    @Test
    fun `bad input is one line and code 2`() {
        val nothing = folder.resolve("none.wav").path
        val found = run("transcribe", Shipped.tflite.path, nothing)
        assertEquals(2, found.code)
        assertTrue("error: $nothing: expected an audio file, there is none; correct the path" in found.errors.lines(), found.errors)
        assertEquals("", found.out)
    }

    @Test
    fun `arguments are checked`() {
        fun refused(vararg given: String) = assertThrows(InputError::class.java) { Arguments(given.toList(), 1, setOf("epochs"), setOf("greedy")) }
        assertTrue("no such option: --epoch; there are --epochs, --greedy" in refused("m", "--epoch", "3").message!!)
        assertTrue("--epochs: expected a value" in refused("m", "--epochs").message!!)
        assertTrue("expected 1 arguments beside the options, got 2" in refused("m", "n").message!!)
        val arguments = Arguments(listOf("--greedy", "m", "--epochs", "0"), 1, setOf("epochs"), setOf("greedy"))
        assertTrue(arguments.flag("greedy"))
        assertEquals("m", arguments.positional.single())
        val least = assertThrows(InputError::class.java) { arguments.count("epochs", 20) }
        assertEquals("--epochs: expected a whole number from 1 on, got 0", least.message)
        assertEquals(20, arguments.count("seed", 20))
    }
}
