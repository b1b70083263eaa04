package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Limits
import tfliteasr.personalization.ResourceTrace
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.Settings
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.StoredSpeech
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.Window
import tfliteasr.personalization.candidates
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Tensor

/** The shipped `commands` trained on this machine, through the TFLite library. */
class TrainingTest {
    @TempDir
    lateinit var folder: File

    private val settings = Settings(epochs = 2, patience = 2, validationShare = 0.3)

    /** Shipped utterances as a voice that the model does not know: weaker, so that there are errors to learn from. */
    private fun strange(artifact: Artifact): List<Example> = readReplay(artifact).take(10).map { example ->
        val values = example.frames.values
        val frames = FloatArray(values.size) { 0.4f * values[it] - 0.5f }
        Example(Frames(frames, example.frames.melBands), example.tokens, example.text, example.where)
    }

    private fun trace(vararg ramMb: Int): File = folder.resolve("trace.jsonl").apply {
        writeText(
            ramMb.withIndex().joinToString("\n") { (seconds, mb) ->
                """{"seconds": $seconds, "available_ram_mb": $mb, "battery_percent": 90, "charging": true, "temperature_c": 30}"""
            },
        )
    }

    @Test
    fun `rounds learn, and the next ones go on from the checkpoint`() = Shipped.recognizer().use { recognizer ->
        val data = StoredSpeech(strange(recognizer.artifact), settings)
        val checkpoint = folder.resolve("c.safetensors")
        val resources = ResourceTrace(trace(2000)) { 0.0 }
        val first = Rounds(recognizer, data, settings, checkpoint, resources).run(most = 1)
        assertEquals(StopReason.ROUNDS_DONE, first.stoppedBecause)
        val history = first.rounds.single().outcome.history
        assertTrue(history.last { it.best }.validationLoss < history.first().validationLoss, "$history")

        Shipped.recognizer().use { fresh ->
            val second = Rounds(fresh, data, settings, checkpoint, resources).run(most = 1)
            val kept = history.last { it.best }.validationLoss
            assertEquals(kept, second.rounds.single().outcome.history.first().validationLoss, 1e-4 * kept)
        }
    }

    @Test
    fun `rounds stop in the middle when memory runs low and leave a checkpoint`() = Shipped.recognizer().use { recognizer ->
        var seconds = 0.0
        val listener = object : TrainingListener {
            var steps = 0
            val chosen = ArrayList<Candidate>()

            override fun onRound(number: Int, candidate: Candidate, budgetMb: Double) {
                chosen.add(candidate)
            }

            override fun onStep(number: Int, steps: Int, loss: Float) {
                this.steps++
                seconds += 1.0
            }

            override fun onEpoch(row: Epoch) {}
        }
        val checkpoint = folder.resolve("c.safetensors")
        val outcome = Rounds(
            recognizer,
            StoredSpeech(strange(recognizer.artifact), settings),
            settings,
            checkpoint,
            ResourceTrace(trace(2000, 2000, 150)) { seconds },
            Limits(leastAvailableRamMb = 200.0),
            listener = listener,
        ).run(most = 3)
        assertEquals(StopReason.LOW_MEMORY, outcome.stoppedBecause)
        assertEquals(2, listener.steps)
        assertEquals(candidates(recognizer.artifact).take(1), listener.chosen)
        assertTrue(recognizer.restore(checkpoint) >= 0)
    }

    @Test
    fun `nothing is begun when no plan fits`() = Shipped.recognizer().use { recognizer ->
        val data = StoredSpeech(strange(recognizer.artifact), settings)
        val checkpoint = folder.resolve("c.safetensors")
        val outcome = Rounds(recognizer, data, settings, checkpoint, ResourceTrace(trace(210)) { 0.0 }).run(most = 1)
        assertEquals(StopReason.NO_PLAN_FITS, outcome.stoppedBecause)
        assertFalse(checkpoint.exists())
    }

    @Test
    fun `the window keeps the newest, within a number and within bytes`() {
        val artifact = Artifact.read(Shipped.tflite)
        val examples = readReplay(artifact)
        val path = folder.resolve("window")
        val window = Window(path, artifact, mostUtterances = 5, mostBytes = 1_000_000)
        examples.take(7).forEach(window::add)
        path.resolve(".00000009.safetensors.tmp").writeText("left by a kill")
        val again = Window(path, artifact, mostUtterances = 5, mostBytes = 1_000_000)
        assertEquals(listOf(2, 3, 4, 5, 6), again.numbers)
        assertEquals(examples.slice(2..6).map { it.text }, again.examples().map { it.text })
        assertEquals(examples[6].frames.values.toList(), again.read(6).frames.values.toList()) // of eight bits already
        assertEquals(path.listFiles()!!.sumOf { it.length() }, again.diskBytes())
        assertEquals(5, path.list()!!.size)

        val narrow = Window(path, artifact, mostUtterances = 5, mostBytes = again.diskBytes() / 2)
        assertTrue(narrow.diskBytes() <= again.diskBytes() && narrow.numbers.size in 1..4)
        narrow.add(examples[7])
        assertEquals(7, narrow.numbers.last())
        assertThrows(InputError::class.java) { Window(path, artifact, 5, mostBytes = 100).add(examples[0]) }
        assertThrows(InputError::class.java) { Window(path, artifact, 3, mostBytes = 100) }
        assertEquals(0, Window(path, artifact, 5, 100_000).apply { forgetAll() }.numbers.size)
    }

    @Test
    fun `a damaged model, and wrong inputs, are told`() = Shipped.recognizer().use { recognizer ->
        for (name in listOf("commands.tflite", "commands.json")) Shipped.tflite.resolveSibling(name).copyTo(folder.resolve(name))
        val copy = folder.resolve("commands.tflite")
        copy.writeBytes(copy.readBytes().also { it[5000] = (it[5000] + 1).toByte() })
        val error = assertThrows(InputError::class.java) { Artifact.read(copy) }
        assertTrue("not a pair or one is damaged" in error.message!!)
        assertThrows(InputError::class.java) { recognizer.model.run("sideways") }
        assertThrows(InputError::class.java) { recognizer.model.run("infer", mapOf("frames" to Tensor.floats(1, 600, 40))) }
        val wrong = mapOf("frames" to Tensor.floats(1, 600, 39), "frame_lengths" to Tensor.ints(1))
        val shape = assertThrows(InputError::class.java) { recognizer.model.run("infer", wrong) }
        assertEquals("signature infer, input frames: expected float32 [1, 600, 40], got float32 [1, 600, 39]", shape.message)
    }
}
