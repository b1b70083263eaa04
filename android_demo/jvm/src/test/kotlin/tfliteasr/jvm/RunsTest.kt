package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.Generator
import tfliteasr.JsonObject
import tfliteasr.personalization.Calibration
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Pace
import tfliteasr.personalization.ResourceTrace
import tfliteasr.personalization.Resources
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.RoundsTrainer
import tfliteasr.personalization.Settings
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.StreamTrainer
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.Window
import tfliteasr.personalization.epochBatches
import tfliteasr.personalization.ownerOf
import tfliteasr.personalization.personalize
import tfliteasr.personalization.readReplay
import tfliteasr.personalization.settingsFor
import tfliteasr.personalization.split
import tfliteasr.personalization.trainingAndValidation
import tfliteasr.runtime.CORRECTION_WEIGHT
import tfliteasr.runtime.Example

/** Whole personalisations take Python's course (vectors/of_runs.py): the same draws, choices and epochs kept. */
@Tag("slow")
class RunsTest {
    @TempDir
    lateinit var folder: File

    private val vectors = Shipped.vectors("runs")
    private val settings = vectors.at("settings").let {
        Settings(
            epochs = it.int("epochs"),
            epochSteps = it.int("epoch_steps"),
            connect = it.int("connect"),
            validationShare = it.double("validation_share"),
            leastToHoldOut = 2,
            seed = it.int("seed"),
        )
    }

    @Test
    fun `batches are of the same utterances, joined and varied the same`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("batches")
        val speech = Shipped.speech(recognizer)
        val parts = split(speech.utterances, settings.validationShare, settings.seed)
        assertEquals(expected.strings("held_out"), parts.heldOut.map { it.text })
        val replay = readReplay(recognizer.artifact)
        val batches = (1L..2L).flatMap { epoch ->
            val random = Generator(settings.seed.toLong(), epoch)
            epochBatches(recognizer, speech.corpus, parts.training, replay, settings, epoch.toInt(), random)
        }.map { it.filterIsInstance<Example>() }
        assertEquals(expected.list("rows").map { it.strings("texts") }, batches.map { batch -> batch.map { it.text } })
        assertEquals(expected.list("rows").map { it.shape("frames").toList() }, batches.map { batch -> batch.map { it.frames.length } })
        val means = batches.flatten().map { example -> example.frames.values.sumOf { it.toDouble() } / example.frames.values.size }
        assertClose(expected.list("rows").flatMap { it.numbers("frame_means") }, means, 1e-4)
    }

    @Test
    fun `epochs end the same, and the owner's voice is learned`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("epochs")
        val speech = Shipped.speech(recognizer)
        val outcome = personalize(recognizer, speech.corpus, speech.utterances, settings, readReplay(recognizer.artifact))
        assertSameHistory(expected.list("history"), outcome.history, TOLERANCE)
        assertEquals(expected.string("stopped_because"), outcome.stoppedBecause.text)
        assertEquals(expected.int("steps"), outcome.steps)
        assertEquals(expected.double("owner_threshold"), ownerOf(recognizer, speech)!!.threshold.toDouble(), 1e-3)
    }

    @Test
    fun `few utterances are not split, and are pulled and stretched the same`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("few")
        val few = expected.at("settings").let { // the rest as it is by default
            Settings(epochs = it.int("epochs"), epochSteps = it.int("epoch_steps"), connect = it.int("connect"), seed = it.int("seed"))
        }
        for (row in expected.list("counts")) {
            val count = row.int("utterances")
            assertEquals(row.double("pull") to row.double("stretch"), settingsFor(recognizer, few, count).let { it.pull to it.stretch })
            val parts = if (count > 1) trainingAndValidation(List(count) { it }, few).let { listOf(it.training.size, it.heldOut.size) } else emptyList()
            assertEquals(row.shape("split").toList(), parts)
        }
        val speech = Shipped.speech(recognizer)
        val outcome = personalize(recognizer, speech.corpus, speech.utterances, few, readReplay(recognizer.artifact))
        assertSameHistory(expected.list("history"), outcome.history, TOLERANCE)
        val stretched = listOf("factor", "validation_wer", "validation_loss").map { expected.at("stretched").double(it) }
        assertClose(stretched, outcome.stretched!!.let { listOf(it.factor, it.validationWer, it.validationLoss) }, TOLERANCE)
        assertEquals(expected.int("steps"), outcome.steps)
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        assertClose(recognizer.groups.map { expected.at("distances").double(it) }, distances.map { it.toDouble() }, TOLERANCE)
    }

    @Test
    fun `rounds choose the same, stop at the same step and go on the same in another process`() {
        val expected = vectors.at("rounds")
        for ((trace, process) in expected.list("traces").map { it.list("rows") }.zip(expected.list("processes"))) {
            Shipped.recognizer().use { recognizer ->
                var taken = 0
                val counting = object : TrainingListener {
                    override fun onStep(number: Int, steps: Int, loss: Float) {
                        taken++
                    }
                }
                val rounds = Rounds(
                    expected.int("count"),
                    ResourceTrace(trace.map(::reading)) { taken.toDouble() },
                    expected.at("limits").let { Limits(it.double("least_available_ram_mb"), it.double("least_battery_percent")) },
                    Calibration.fromJson(expected.at("calibration")),
                )
                val speech = Shipped.speech(recognizer)
                val replay = readReplay(recognizer.artifact)
                val trainer = RoundsTrainer(recognizer, speech.corpus, speech.utterances, settings, rounds, folder, replay, counting)
                assertEquals(process.string("stopped"), trainer.run().text)
                for ((row, found) in process.list("rounds").zip(trainer.done)) {
                    assertEquals(row.string("plan") to row.strings("trainable_groups"), found.chosen.plan to found.chosen.trainableGroups)
                    assertEquals(row.int("utterances") to row.int("steps"), found.utterances to found.steps)
                    assertEquals(row.boolean("ended") to row.string("stopped_because"), found.ended to found.stoppedBecause)
                    assertSameHistory(row.list("history"), found.history, TOLERANCE)
                }
                assertEquals(process.list("rounds").size, trainer.done.size)
                assertEquals(process.int("readings"), trainer.readings.size)
            }
        }
    }

    private fun reading(row: JsonObject) = Resources(
        row.double("seconds"),
        row.double("available_ram_mb"),
        row.double("battery_percent"),
        row.boolean("charging"),
        row.double("temperature_c"),
    )

    @Test
    fun `a window of utterances is learned from the same`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("stream")
        val pace = expected.at("pace").let { Pace(it.int("window"), it.long("window_bytes"), it.int("stride"), it.int("steps")) }
        val window = Window(folder, recognizer.artifact, pace.window, pace.windowBytes)
        val speech = Shipped.speech(recognizer)
        val trainer = StreamTrainer(recognizer, window, settings, pace, readReplay(recognizer.artifact))
        val corrected = expected.shape("corrected").toSet()
        for ((number, utterance) in speech.utterances.withIndex()) {
            val example = recognizer.example(speech.corpus.samples(utterance), utterance.text, utterance.where)
            trainer.hear(example.weighing(if (number in corrected) CORRECTION_WEIGHT else 1))
        }
        trainer.finish()
        val outcome = trainer.outcome(StopReason(StopReason.Kind.ALL_HEARD, ""))
        assertEquals(expected.shape("window").toList(), window.numbers)
        assertEquals(expected.int("steps"), outcome.steps)
        assertSameHistory(expected.list("history"), outcome.history, TOLERANCE)
    }

    @Test
    fun `a window's training that is interrupted and restored ends with the same weights`() {
        val pace = Pace(window = 9, stride = 7, steps = 4)
        fun trained(name: String, interrupted: Boolean): List<Float> {
            val saved = folder.resolve("$name.safetensors")
            var recognizer = Shipped.recognizer()
            val speech = Shipped.speech(recognizer)
            var steps = 0
            fun trainer(): StreamTrainer {
                val window = Window(folder.resolve(name), recognizer.artifact, pace.window, pace.windowBytes)
                return StreamTrainer(recognizer, window, settings, pace, mayGoOn = { !interrupted || ++steps % 3 != 0 })
            }
            var current = trainer()
            for (utterance in speech.utterances) {
                var done = current.hear(recognizer.example(speech.corpus.samples(utterance), utterance.text, utterance.where))
                while (!done) {
                    current.save(saved)
                    recognizer.close()
                    recognizer = Shipped.recognizer()
                    current = trainer().also { it.restore(saved) }
                    done = current.goOn()
                }
            }
            assertTrue(!interrupted || saved.exists())
            return recognizer.use { it.state().values.flatMap { tensor -> if (tensor.shape.size == 1) tensor.floats().asList() else emptyList() } }
        }
        assertEquals(trained("whole", interrupted = false), trained("parts", interrupted = true))
    }

    private companion object {
        const val TOLERANCE = 2e-3 // relative, of losses: float noise of two runtimes, grown over the steps
    }
}
