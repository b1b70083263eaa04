package tfliteasr.jvm

import java.io.File
import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.errorRates
import tfliteasr.personalization.KeptAverage
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Steps
import tfliteasr.personalization.meanFinite
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.BeamSearch
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.StepResult
import tfliteasr.runtime.learnOwner

/** The Kotlin side finds what vectors/of_steps.py computed on the Python side. */
class ParityTest {
    private val vectors = Shipped.vectors("parity")
    private val shift = vectors.int("shift")
    private val rate = vectors.double("learning_rate")
    private val groupRates = vectors.at("group_rates").let { rates -> rates.names.associateWith { rates.double(it) } }

    private fun changed(example: Example, change: (Float, Int) -> Float): Example {
        val (values, bands) = example.frames.values to example.frames.width
        val frames = Frames(FloatArray(values.size) { change(values[it], it % bands) }, bands)
        return Example(frames, example.tokens, example.text, example.where)
    }

    private fun damped(example: Example) = changed(example) { value, _ -> value * 0.3f }

    private fun tilted(example: Example) = changed(example) { value, band -> (value + 0.8 * cos(band / 5.0)).toFloat() }

    /** Each utterance with the tokens of another. */
    private fun withOthersWords(replay: List<Example>) = replay.mapIndexed { index, it ->
        Example(it.frames, replay[(index + shift) % replay.size].tokens, it.text)
    }

    private fun trained(recognizer: Recognizer, replay: List<Example>, plan: String, count: Int): List<StepResult> {
        val wrong = withOthersWords(replay)
        val batches = vectors.matrix("batches").map { batch -> batch.map { wrong[it.toInt()] } }
        return List(count) { number ->
            recognizer.trainStep(
                batches[number % batches.size],
                rate.toFloat(),
                vectors.double("clip_norm").toFloat(),
                vectors.double("pull").toFloat(),
                groupRates.mapValues { it.value.toFloat() },
                plan,
            )
        }
    }

    @Test
    fun `the vectors are of the shipped model`() = Shipped.recognizer().use { recognizer ->
        assertEquals(vectors.string("artifact_sha256"), recognizer.artifact.tfliteSha256, "run vectors/make_vectors.py")
    }

    @Test
    fun `features of samples are the same`() = Shipped.recognizer().use { recognizer ->
        val seconds = List(8000) { it / 16000.0 }
        val chirp = FloatArray(8000) { (0.3 * sin(2 * PI * (200 * seconds[it] + 1500 * seconds[it] * seconds[it]))).toFloat() }
        val frames = recognizer.features(chirp)
        val means = frames.values.asList().chunked(frames.width) { it.average() }
        assertClose(vectors.numbers("chirp_frame_means"), means, 1e-4)
    }

    @Test
    fun `shipped utterances and their transcripts are the same`() = Shipped.recognizer().use { recognizer ->
        val examples = readReplay(recognizer.artifact).take(vectors.numbers("frame_sums").size)
        assertEquals(vectors.strings("references"), examples.map { it.text })
        assertClose(vectors.numbers("frame_sums"), examples.map { example -> example.frames.values.sumOf { it.toDouble() } }, 1e-6)
        assertEquals(vectors.strings("greedy"), examples.map { recognizer.transcribeFrames(it.frames) })
        val hard = examples.map { damped(it).frames }
        val expected = vectors.at("damped")
        assertEquals(expected.strings("greedy"), hard.map { recognizer.transcribeFrames(it) })
        val best = hard.map { BeamSearch(recognizer.model, recognizer.config).best(it)[0] }
        assertEquals(expected.strings("beam"), best.map { recognizer.tokenizer.decode(it.tokens) })
        assertClose(expected.numbers("log_probabilities"), best.map { it.logProbability }, 1e-4)
    }

    @ParameterizedTest
    @ValueSource(strings = ["train", "split"])
    fun `training steps have the same losses and end at the same weights`(plan: String) = Shipped.recognizer().use { recognizer ->
        val replay = readReplay(recognizer.artifact)
        val expected = vectors.at("steps").at(plan)
        val examples = withOthersWords(replay).take(expected.numbers("losses_before").size)
        assertClose(expected.numbers("losses_before"), recognizer.loss(examples).map { it.toDouble() }, 1e-5)
        val steps = trained(recognizer, replay, plan, expected.numbers("train_losses").size)
        assertClose(expected.numbers("train_losses"), steps.map { it.loss.toDouble() }, 1e-4)
        assertClose(expected.numbers("gradient_norms"), steps.map { it.gradientNorm.toDouble() }, 1e-3)
        assertTrue(steps.none { it.skipped })
        assertClose(expected.numbers("losses_after"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        assertClose(recognizer.groups.map { expected.at("distances").double(it) }, distances.map { it.toDouble() }, 1e-4)
    }

    @Test
    fun `the moving average recognises the same, and the same epoch of it is kept`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("average")
        val hard = readReplay(recognizer.artifact).map(::damped)
        val heard = expected.strings("heard_with_the_best")
        val validation = hard.take(heard.size)
        val settings = Settings(plan = "split", learningRate = rate, groupRates = groupRates)
        val kept = KeptAverage(recognizer, settings, heldOutWords = validation.sumOf { it.text.split(" ").size })
        kept.begin(validation)
        val taker = Steps(recognizer, settings)
        val batches = hard.drop(heard.size).chunked(recognizer.config.sizes.batch)
        val steps = expected.int("epoch_steps")
        for (epoch in 1..expected.int("epochs")) {
            val losses = batches.subList((epoch - 1) * steps, epoch * steps).map { taker.take(it, rate).loss }
            kept.update(epoch, epoch * steps, meanFinite(losses), validation, moved = false)
        }
        assertSameHistory(expected.list("history"), kept.history, 1e-3)
        recognizer.setState(kept.bestState)
        assertEquals(heard, validation.map { recognizer.transcribeFrames(it.frames) })
        assertClose(expected.numbers("losses_with_the_best"), recognizer.loss(validation).map { it.toDouble() }, 1e-2)
    }

    @Test
    fun `the owner is heard with the learned weights, and others with the shipped ones`() = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("voice")
        val replay = readReplay(recognizer.artifact)
        trained(recognizer, replay, "split", vectors.at("steps").at("split").numbers("train_losses").size)
        recognizer.owner = learnOwner(recognizer.background!!, expected.shape("learned_from").map { tilted(replay[it]).frames })
        val owner = recognizer.owner!!
        val some = replay.take(expected.numbers("scores").size / 2)
        val heard = (some.map(::tilted) + some).map { it.frames }
        assertEquals(expected.double("threshold"), owner.threshold.toDouble(), 1e-4)
        assertClose(expected.numbers("scores"), heard.map(owner::score), 1e-3)
        assertEquals(expected.shape("owners").map { it == 1 }, heard.map(recognizer::hearsOwner))
        assertEquals(expected.strings("heard"), heard.map { recognizer.transcribeFrames(it) })
        assertEquals(expected.strings("by_beam"), heard.map { recognizer.transcribeFrames(it, beam = true) })
        val (learned, shipped) = heard.map { recognizer.apply { this.owner = null }.transcribeFrames(it) } to vectors.strings("greedy")
        assertTrue(learned.takeLast(some.size) != shipped) { "both weights hear the same, so this says nothing" }
        // for tests/android/test_android_core.py, which restores it on the Python side
        recognizer.owner = owner
        recognizer.save(File("target/kotlin.checkpoint.safetensors"))
    }

    @Test
    @EnabledIfEnvironmentVariable(named = "PYTHON_CHECKPOINT", matches = ".+")
    fun `a checkpoint that Python saved is restored, and saved again bit for bit`() = Shipped.recognizer().use { recognizer ->
        recognizer.restore(File(System.getenv("PYTHON_CHECKPOINT")))
        recognizer.save(File("target/python.checkpoint.safetensors"))
    }

    @Test
    fun `word and character error rates are the same`() {
        val rates = errorRates(vectors.strings("references"), vectors.strings("garbled"))
        assertEquals(vectors.double("garbled_wer"), rates.wer, 1e-12)
        assertEquals(vectors.double("garbled_cer"), rates.cer, 1e-12)
    }
}
