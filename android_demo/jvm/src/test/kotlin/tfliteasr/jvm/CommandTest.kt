package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.Json

/** The command line, as a process of its own. */
@Tag("slow")
class CommandTest {
    @TempDir
    lateinit var folder: File

    private class Result(val code: Int, val out: String, val errors: String)

    private fun run(vararg arguments: String): Result {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val command = listOf(java, "-cp", System.getProperty("java.class.path"), "tfliteasr.jvm.MainKt", *arguments)
        val errors = folder.resolve("errors")
        val builder = ProcessBuilder(command).redirectError(errors)
        builder.environment()["XDG_CACHE_HOME"] = folder.resolve("cache").path
        val process = builder.start()
        val out = process.inputStream.bufferedReader().readText()
        return Result(process.waitFor(), out, errors.readText())
    }

    private val speech = Shipped.folder.resolve("speech/manifest.jsonl").path
    private val few = listOf("--epochs", "1", "--connect", "2", "--no-augment")

    private fun personalize(vararg more: String, out: String = "out"): Result =
        run("personalize", Shipped.tflite.path, speech, "--test", speech, "--out", folder.resolve(out).path, *few.toTypedArray(), *more)

    @Test
    fun `personalize learns a voice, and transcribe takes what it wrote`() {
        val learned = personalize()
        assertEquals(0, learned.code, learned.errors)
        val out = folder.resolve("out")
        val result = Json.parse(out.resolve("result.json").readText()) as Map<*, *>
        assertEquals(25L, result["steps"]) // as `tflite-asr personalize` of the same
        assertEquals(14, (result["pairs"] as List<*>).flatMap { ((it as Map<*, *>)["reference"] as String).split(" ") }.size)
        assertEquals(true, result["owner_voice"])
        assertEquals(result["wer_after"], (Json.parse(learned.out) as Map<*, *>)["wer_after"])
        val checkpoint = out.resolve("checkpoint.safetensors").path
        val heard = run("transcribe", Shipped.tflite.path, Shipped.folder.resolve("speech/00000.wav").path, "--checkpoint", checkpoint)
        assertEquals(0, heard.code, heard.errors)
    }

    @Test
    fun `rounds measure this machine once, and a window learns as utterances come`() {
        val rounds = personalize("--rounds", "2", "--battery-floor", "0", "--ram-floor-mb", "1", out = "rounds")
        assertEquals(0, rounds.code, rounds.errors)
        assertTrue("none yet; measuring this device" in rounds.errors && "round 2: plan " in rounds.errors, rounds.errors)
        val result = Json.parse(folder.resolve("rounds/result.json").readText()) as Map<*, *>
        assertEquals(true, result["finished"])
        val again = personalize("--rounds", "2", "--battery-floor", "0", "--ram-floor-mb", "1", out = "rounds")
        assertTrue(again.code == 0 && "measuring" !in again.errors, again.errors)
        val window = personalize("--window", "8", out = "window")
        assertEquals(0, window.code, window.errors)
        assertEquals(8, folder.resolve("window/window").list()!!.size)
    }

    @Test
    fun `bad input is one line and code 2`() {
        val nothing = folder.resolve("none.wav").path
        val found = run("transcribe", Shipped.tflite.path, nothing)
        assertEquals(2, found.code)
        assertTrue("error: $nothing: expected an audio file, there is none; correct the path" in found.errors.lines(), found.errors)
        assertEquals("", found.out)
        assertTrue("error: expected --test; --help says what for" in run("personalize", "m", "m").errors)
        val both = personalize("--rounds", "2", "--window", "8")
        assertTrue(both.code == 2 && "--rounds: expected no --window and --plan with it" in both.errors, both.errors)
        assertTrue("--battery-floor: expected --rounds with it" in personalize("--battery-floor", "10").errors)
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
