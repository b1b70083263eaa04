package tfliteasr.jvm

import java.io.File
import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import kotlin.math.sqrt
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.personalization.Pace
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Speech
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.StreamTrainer
import tfliteasr.personalization.Window
import tfliteasr.personalization.epochBatches
import tfliteasr.personalization.personalize
import tfliteasr.personalization.split
import tfliteasr.personalization.withHeardCase
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Candidate
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.SignatureModel
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.evaluateTranscripts
import tfliteasr.runtime.modelOf
import tfliteasr.runtime.sizedFor

/** A second pass that trains, at two lengths, hears and learns as Python says (vectors/of_second_pass_training.py). */
class SecondPassTrainingTest {
    @TempDir
    lateinit var folder: File

    private val vectors = Shipped.vectors("second_pass_training")
    private val tones = vectors.shape("lengths").map(::tone)
    private val settings = vectors.at("settings").let {
        Settings(
            epochs = it.int("epochs"),
            epochSteps = it.int("epoch_steps"),
            connect = it.int("connect"),
            validationShare = it.double("validation_share"),
            leastToHoldOut = 2,
            learningRate = it.double("learning_rate"),
            seed = it.int("seed"),
        )
    }

    /** Samples of a tone that rises. */
    private fun tone(length: Int) = FloatArray(length) {
        val seconds = it / 16000.0
        (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat()
    }

    /** Notes the signatures that are called. */
    private class Noting(private val model: SignatureModel) : SignatureModel by model {
        val called = ArrayList<String>()

        override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
            called.add(name)
            return model.run(name, inputs, outputs)
        }
    }

    private fun artifact() = Artifact.read(Shipped.folder.resolve("second.tflite"))

    private fun recognizer(): Recognizer = artifact().let { Recognizer(it, parted(it)) }

    /** As an app opens it: a file with several lengths, so in parts. */
    private fun parted(artifact: Artifact) = modelOf(artifact) { LiteRtModel(artifact.path, signatures = it) }

    private fun whole(values: List<List<Double>>) = values.map { row -> row.map { it.toInt() } }

    private fun rootMeanSquare(values: List<Float>) = sqrt(values.sumOf { it.toDouble() * it } / values.size)

    private fun assertPowers(expected: JsonObject, frames: Frames) {
        val rows = frames.values.asList().chunked(frames.width)
        assertClose(expected.numbers("by_frame"), rows.map(::rootMeanSquare), 1e-4)
        val units = (0 until frames.width).map { unit -> rootMeanSquare(rows.map { it[unit] }) }
        assertClose(expected.numbers("by_unit"), units, 1e-4)
    }

    /** The same hypotheses in the same order, of each utterance. */
    private fun assertNbest(expected: List<JsonObject>, found: List<List<Candidate>>, relative: Double) {
        for ((row, candidates) in expected.zip(found)) {
            assertEquals(whole(row.matrix("tokens")), candidates.map { it.tokens })
            assertClose(row.numbers("first"), candidates.map { it.first }, relative)
            assertClose(row.numbers("second"), candidates.map { it.second }, relative)
        }
    }

    @Test
    fun `an utterance takes the signatures of its length`() {
        val artifact = artifact()
        val noting = Noting(LiteRtModel(artifact.path))
        Recognizer(artifact, noting).use { recognizer ->
            for (row in vectors.list("sizes")) {
                val sized = recognizer.config.shortest(row.int("max_frames"))
                assertEquals(row.int("max_frames") to row.int("max_tokens"), sized.sizes.maxFrames to sized.sizes.maxTokens)
                assertEquals(row.string("suffix") to row.int("max_labels"), sized.sizes.suffix to sized.maxLabels)
            }
            val suffix = vectors.list("sizes").first().string("suffix")
            for ((samples, ending) in listOf(tones.first() to suffix, tones.last() to "")) {
                noting.called.clear()
                recognizer.transcribe(samples)
                assertEquals(listOf("features", "encode", "decode_start", "decode_step").map { it + ending }, noting.called.distinct())
            }
        }
    }

    @Test
    fun `both passes hear the same at both lengths`() = recognizer().use { recognizer ->
        val frames = tones.map(recognizer::features)
        for ((expected, found) in vectors.list("frames").zip(frames)) assertPowers(expected, found)
        assertEquals(vectors.strings("greedy"), frames.map { recognizer.transcribeFrames(it) })
        assertEquals(vectors.strings("beam"), frames.map { recognizer.transcribeFrames(it, beam = true) })
        assertNbest(vectors.list("nbest"), frames.map { recognizer.candidates(it) }, 1e-4)
        assertEquals(vectors.strings("two_pass"), frames.map { recognizer.transcribeTwoPass(it) })
        assertEquals(vectors.strings("two_pass"), tones.map { recognizer.transcribe(it) })
    }

    @ParameterizedTest
    @ValueSource(strings = ["train", "split"])
    fun `the second pass learns the same from cased transcripts`(plan: String) = recognizer().use { recognizer ->
        val expected = vectors.at("steps").at(plan)
        val examples = tones.zip(vectors.strings("texts")).map { (samples, text) -> recognizer.example(samples, text) }
        assertEquals(expected.strings("written"), examples.map { it.text })
        assertEquals(whole(expected.matrix("tokens")), examples.map { it.tokens.toList() })
        val batches = vectors.matrix("batches").map { batch -> batch.map { examples[it.toInt()] } }
        assertEquals(expected.strings("suffixes"), batches.map { sizedFor(it, recognizer.config).sizes.suffix })
        assertClose(expected.numbers("losses_before"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        val (rate, norm) = vectors.double("learning_rate").toFloat() to vectors.double("clip_norm").toFloat()
        val losses = expected.numbers("train_losses")
        val steps = losses.indices.map { recognizer.trainStep(batches[it % batches.size], rate, norm, plan = plan) }
        assertClose(losses, steps.map { it.loss.toDouble() }, 1e-4)
        assertClose(expected.numbers("gradient_norms"), steps.map { it.gradientNorm.toDouble() }, 1e-3)
        assertClose(expected.numbers("losses_after"), recognizer.loss(examples).map { it.toDouble() }, 1e-4)
        assertNbest(expected.list("nbest_after"), examples.map { recognizer.candidates(it.frames) }, 1e-3)
    }

    @Test
    fun `a text of too many subwords is refused before anything is heard`() {
        val artifact = artifact()
        val noting = Noting(LiteRtModel(artifact.path))
        Recognizer(artifact, noting).use { recognizer ->
            val told = assertThrows(InputError::class.java) { recognizer.example(tones.last(), "A BAD BAD BAD BAD EGG", "m.jsonl:3") }
            assertTrue("m.jsonl:3: expected at most ${recognizer.config.maxLabels} tokens, got" in told.message!!)
            assertEquals(emptyList<String>(), noting.called)
        }
    }

    /** The words as the second pass is to write them. */
    private fun cased(recognizer: Recognizer): Speech = Shipped.speech(recognizer).let {
        Speech(it.corpus, withHeardCase(recognizer, it.corpus, it.utterances))
    }

    @Test
    fun `epochs are of the same cased transcripts and validated by both passes`() = recognizer().use { recognizer ->
        val expected = vectors.at("epochs")
        val speech = cased(recognizer)
        assertEquals(expected.strings("written"), speech.utterances.map { it.text })
        val training = split(speech.utterances, settings.validationShare, settings.seed).training
        val drawn = Generator(settings.seed.toLong(), 1)
        val batches = epochBatches(recognizer, speech.corpus, training, emptyList(), settings, 1, drawn)
        assertEquals(expected.list("batches").map { it.strings("texts") }, batches.map { batch -> batch.filterIsInstance<Example>().map { it.text } })
        val outcome = personalize(recognizer, speech.corpus, speech.utterances, settings)
        assertSameHistory(expected.list("history"), outcome.history, TOLERANCE)
        val examples = speech.utterances.map { recognizer.example(speech.corpus.samples(it), it.text) }
        assertEquals(expected.double("wer"), evaluateTranscripts(recognizer, examples).rates.wer, 1e-9)
    }

    @Test
    fun `a window of utterances keeps their subwords and is learned from the same`() = recognizer().use { recognizer ->
        val expected = vectors.at("stream")
        val pace = vectors.at("pace").let { Pace(it.int("window"), it.long("window_bytes"), it.int("stride"), it.int("steps")) }
        val window = Window(folder, recognizer.artifact, pace.window, pace.windowBytes)
        val speech = cased(recognizer)
        val trainer = StreamTrainer(recognizer, window, settings, pace)
        for (utterance in speech.utterances) {
            trainer.hear(recognizer.example(speech.corpus.samples(utterance), utterance.text, utterance.where))
        }
        trainer.finish()
        assertEquals(expected.strings("kept"), window.numbers.map { window.read(it).text })
        val outcome = trainer.outcome(StopReason(StopReason.Kind.ALL_HEARD, ""))
        assertSameHistory(expected.list("history"), outcome.history, TOLERANCE)
        assertTrue(outcome.steps > 0)
    }

    private companion object {
        const val TOLERANCE = 2e-3 // relative, of losses: float noise of two runtimes, grown over the steps
    }
}
