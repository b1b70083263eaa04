package tfliteasr.jvm

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import kotlin.math.sqrt
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.data.inTime
import tfliteasr.data.joined
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Candidate
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Rescoring

/** A waveform stem, a CTC encoder and a decoder hear and learn as Python says (vectors/of_second_pass.py). */
class SecondPassTest {
    private val vectors = Shipped.vectors("second_pass")
    private val tones = vectors.shape("lengths").map(::tone)

    /** Samples of a tone that rises. */
    private fun tone(length: Int) = FloatArray(length) {
        val seconds = it / 16000.0
        (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat()
    }

    private fun recognizer(): Recognizer =
        Artifact.read(Shipped.folder.resolve("decoder.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private fun told(problem: () -> Unit): String = assertThrows(InputError::class.java) { problem() }.message!!

    private fun rootMeanSquare(values: List<Float>) = sqrt(values.sumOf { it.toDouble() * it } / values.size)

    private fun whole(values: List<List<Double>>) = values.map { row -> row.map { it.toInt() } }

    /** The same hypotheses in the same order, of each utterance. */
    private fun assertNbest(expected: List<JsonObject>, found: List<List<Candidate>>, relative: Double) {
        for ((row, candidates) in expected.zip(found)) {
            assertEquals(whole(row.matrix("tokens")), candidates.map { it.tokens })
            assertClose(row.numbers("first"), candidates.map { it.first }, relative)
            assertClose(row.numbers("second"), candidates.map { it.second }, relative)
        }
    }

    private fun assertPowers(expected: JsonObject, frames: Frames) {
        val rows = frames.values.asList().chunked(frames.width)
        assertClose(expected.numbers("by_frame"), rows.map(::rootMeanSquare), 1e-4)
        val units = (0 until frames.width).map { unit -> rootMeanSquare(rows.map { it[unit] }) }
        assertClose(expected.numbers("by_unit"), units, 1e-4)
    }

    @Test
    fun `frames of a stem are varied in time and joined by their first one`() = recognizer().use { recognizer ->
        val (first, second) = tones.map(recognizer::features)
        for (speed in listOf("0.9", "1.1")) assertPowers(vectors.at("in_time").at(speed), inTime(first, speed.toDouble()))
        assertPowers(vectors.at("joined"), joined(listOf(first, second.first(5)), listOf(3), recognizer.config.features))
    }

    @Test
    fun `a stem makes the same frames, silence on both sides`() = recognizer().use { recognizer ->
        for ((expected, samples) in vectors.list("frames").zip(tones)) assertPowers(expected, recognizer.features(samples))
        assertTrue("expected 895 samples or more, got 894" in told { recognizer.features(tone(894)) })
        assertTrue("expected at most 1.23 s, got 1.25 s" in told { recognizer.features(tone(20_000)) })
    }

    @Test
    fun `both passes hear the same`() = recognizer().use { recognizer ->
        val frames = tones.map(recognizer::features)
        assertEquals(vectors.strings("greedy"), frames.map { recognizer.transcribeFrames(it) })
        assertEquals(vectors.strings("beam"), frames.map { recognizer.transcribeFrames(it, beam = true) })
        assertNbest(vectors.list("nbest"), frames.map { recognizer.candidates(it) }, 1e-4)
        val joint = Rescoring(vectors.double("joint_weight"))
        assertNbest(vectors.list("joint"), frames.map { recognizer.candidates(it, rescoring = joint) }, 1e-4)
        assertEquals(vectors.strings("by_first"), frames.map { recognizer.transcribeTwoPass(it, Rescoring(0.0, perLabel = true)) })
        assertEquals(vectors.strings("two_pass"), frames.map { recognizer.transcribeTwoPass(it) })
        assertEquals(vectors.strings("two_pass"), tones.map { recognizer.transcribe(it) })
    }

    @ParameterizedTest
    @ValueSource(strings = ["train", "split"])
    fun `the first pass learns the same, and the second one as little`(plan: String) = recognizer().use { recognizer ->
        val expected = vectors.at("steps").at(plan)
        val examples = tones.zip(vectors.strings("texts")).map { (samples, text) -> recognizer.example(samples, text) }
        assertEquals(whole(expected.matrix("tokens")), examples.map { it.tokens.toList() })
        assertClose(expected.numbers("losses_before"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        val batches = vectors.matrix("batches").map { batch -> batch.map { examples[it.toInt()] } }
        val (rate, norm) = vectors.double("learning_rate").toFloat() to vectors.double("clip_norm").toFloat()
        val losses = expected.numbers("train_losses")
        val steps = losses.indices.map { recognizer.trainStep(batches[it % batches.size], rate, norm, plan = plan) }
        assertClose(losses, steps.map { it.loss.toDouble() }, 1e-4)
        assertClose(expected.numbers("gradient_norms"), steps.map { it.gradientNorm.toDouble() }, 1e-3)
        assertClose(expected.numbers("losses_after"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        assertNbest(expected.list("nbest_after"), examples.map { recognizer.candidates(it.frames) }, 1e-3)
    }

    @Test
    fun `where the first pass hears nothing the decoder is not asked`() = recognizer().use { recognizer ->
        val frames = recognizer.features(tones[0])
        val state = recognizer.state()
        val bias = state.getValue("ctc_bias").copy().put(0, floatArrayOf(1e3f)) // of blank
        recognizer.setState(state + ("ctc_bias" to bias))
        assertEquals("", recognizer.transcribeFrames(frames))
        assertEquals("", recognizer.transcribeTwoPass(frames))
        recognizer.setState(state)
        assertEquals(vectors.strings("two_pass")[0], recognizer.transcribeTwoPass(frames))
    }

    @Test
    fun `what a model does not have is refused`() = recognizer().use { recognizer ->
        assertTrue("no signature stream" in told { recognizer.artifact.signature("stream") })
        val shipped = Shipped.recognizer()
        val silence = Frames(FloatArray(100 * 40) { -2f }, 40)
        val expected = "expected a second pass over the n-best, got none; use stream or transcribeFrames"
        assertTrue(expected in shipped.use { told { it.transcribeTwoPass(silence) } })
        assertTrue("expected frames of at most 50 x 16, got 100 x 40" in told { recognizer.transcribeTwoPass(silence) })
    }
}
