package tfliteasr.jvm

import java.io.File
import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.Json
import tfliteasr.errorRates
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.BeamSearch
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames

/** The Kotlin side finds what vectors/make_vectors.py computed on the Python side. */
class ParityTest {
    private val vectors = Json.parse(Shipped.vectors.resolve("parity.json").readText()) as Map<*, *>

    @Test
    fun `features of samples are the same`() = Shipped.recognizer().use { recognizer ->
        val seconds = List(8000) { it / 16000.0 }
        val chirp = FloatArray(8000) { (0.3 * sin(2 * PI * (200 * seconds[it] + 1500 * seconds[it] * seconds[it]))).toFloat() }
        val frames = recognizer.features(chirp)
        val means = frames.values.asList().chunked(frames.melBands) { it.average() }
        assertClose(numbers("chirp_frame_means"), means, 1e-4)
    }

    @Test
    fun `shipped utterances, their transcripts and losses are the same`() = Shipped.recognizer().use { recognizer ->
        val examples = readReplay(recognizer.artifact).take(numbers("frame_sums").size)
        assertEquals(vectors["references"], examples.map { it.text })
        assertClose(numbers("frame_sums"), examples.map { example -> example.frames.values.sumOf { it.toDouble() } }, 1e-6)
        assertEquals(vectors["greedy"], examples.map { recognizer.transcribeFrames(it.frames) })
        val damped = examples.map { example ->
            Frames(FloatArray(example.frames.values.size) { 0.45f * example.frames.values[it] }, example.frames.melBands)
        }
        assertEquals(vectors["damped_greedy"], damped.map { recognizer.transcribeFrames(it) })
        val best = damped.map { BeamSearch(recognizer.model, recognizer.config).best(it)[0] }
        assertEquals(vectors["damped_beam"], best.map { recognizer.tokenizer.decode(it.tokens) })
        assertClose(numbers("damped_beam_log_probabilities"), best.map { it.logProbability }, 1e-4)
    }

    @Test
    fun `ten training steps have the same losses and end at the same weights`() = Shipped.recognizer().use { recognizer ->
        val replay = readReplay(recognizer.artifact)
        val shift = (vectors["shift"] as Long).toInt()
        val wrong = replay.mapIndexed { index, it -> Example(it.frames, replay[(index + shift) % replay.size].tokens, it.text) }
        val examples = wrong.take(numbers("losses_before").size)
        assertClose(numbers("losses_before"), recognizer.loss(examples).map { it.toDouble() }, 1e-5)
        val batches = (vectors["batches"] as List<*>).map { batch -> (batch as List<*>).map { wrong[(it as Long).toInt()] } }
        val rates = (vectors["group_rates"] as Map<*, *>).entries
            .associate { (it.key as String) to (it.value as Double).toFloat() }
        val steps = numbers("train_losses").indices.map { number ->
            recognizer.trainStep(
                batches[number % batches.size],
                (vectors["learning_rate"] as Double).toFloat(),
                (vectors["clip_norm"] as Double).toFloat(),
                (vectors["pull"] as Double).toFloat(),
                rates,
            )
        }
        assertClose(numbers("train_losses"), steps.map { it.loss.toDouble() }, 1e-5)
        assertClose(numbers("gradient_norms"), steps.map { it.gradientNorm.toDouble() }, 1e-4)
        assertTrue(steps.none { it.skipped })
        assertClose(numbers("losses_after"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        val expected = vectors["distances"] as Map<*, *>
        assertClose(recognizer.groups.map { expected[it] as Double }, distances.map { it.toDouble() }, 1e-4)
        // for tests/android/test_android_core.py, which restores it on the Python side
        recognizer.save(File("target/kotlin.checkpoint.safetensors"))
    }

    @Test
    fun `every plan takes the same steps as the whole one`() {
        val losses = Artifact.read(Shipped.tflite).plans.keys.associateWith { plan ->
            Shipped.recognizer().use { recognizer ->
                val examples = readReplay(recognizer.artifact).take(3)
                List(3) { recognizer.trainStep(examples, clipNorm = 0f, plan = plan).loss.toDouble() }
            }
        }
        for (found in losses.values) assertClose(losses.getValue("train"), found, 1e-5)
    }

    @Test
    fun `word and character error rates are the same`() {
        @Suppress("UNCHECKED_CAST")
        val rates = errorRates(vectors["references"] as List<String>, vectors["garbled"] as List<String>)
        assertEquals(vectors["garbled_wer"] as Double, rates.wer, 1e-12)
        assertEquals(vectors["garbled_cer"] as Double, rates.cer, 1e-12)
    }

    private fun numbers(name: String) = (vectors[name] as List<*>).map { (it as Number).toDouble() }

    private fun assertClose(expected: List<Double>, found: List<Double>, relative: Double) {
        assertEquals(expected.size, found.size)
        val worst = expected.zip(found).maxOf { (left, right) -> abs(left - right) / maxOf(abs(left), 1e-3) }
        assertTrue(worst <= relative) { "expected $expected, got $found: $worst apart, allowed $relative" }
    }
}
