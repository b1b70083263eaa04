package tfliteasr.jvm

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Rescoring
import tfliteasr.runtime.TextStream
import tfliteasr.runtime.stream
import tfliteasr.runtime.streamTwoPass
import tfliteasr.text.Phrase

/** What is recognised of utterances that come in chunks is Python's, token for token (vectors/of_streaming.py). */
class StreamingTest {
    private val vectors = Shipped.vectors("streaming")
    private val sizes = vectors.at("chunks").shape("frames").toList()
    private val utterances = Shipped.vectors("exits").shape("lengths").map(::noise)

    private fun recognizer(name: String): Recognizer =
        Artifact.read(Shipped.folder.resolve("$name.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private fun told(problem: () -> Unit): String = assertThrows(InputError::class.java) { problem() }.message!!

    /** The text behind every chunk of frames, and that at the end. */
    private fun assertStreamed(expected: JsonObject, stream: TextStream, frames: Frames) {
        assertEquals(expected.strings("after"), chunks(frames.length, sizes).map { stream.accept(frames.part(it.first, it.last + 1)) })
        assertEquals(expected.string("text"), stream.finish())
    }

    @Test
    fun `each exit hears the same behind every chunk`() = recognizer("early").use { recognizer ->
        for ((exit, case) in vectors.list("exits").withIndex()) {
            val stream = recognizer.stream(exit)
            for ((expected, frames) in case.list("utterances").zip(utterances)) { // of the one before nothing is left
                assertStreamed(expected, stream, frames)
                assertEquals(expected.shape("tokens").toList(), stream.tokens)
            }
        }
        assertEquals("expected an exit from 0 to 1 (exit_0, final), got 2", told { recognizer.stream(2) })
    }

    @Test
    fun `a stream of samples that is longer than the model's utterances`() = Shipped.recognizer().use { recognizer ->
        val (expected, samples) = vectors.at("shipped") to Shipped.stream()
        val stream = recognizer.stream()
        val found = chunks(samples.size, vectors.at("chunks").shape("samples").toList())
            .map { stream.accept(samples.sliceArray(it)) }
        assertEquals(expected.strings("after"), found)
        assertEquals(expected.string("text"), stream.finish())
        assertEquals(expected.shape("tokens").toList(), stream.tokens)
        stream.accept(samples) // in one chunk
        assertEquals(expected.string("text"), stream.finish())
    }

    @Test
    fun `the second pass chooses at the end`() = recognizer("two_pass").use { recognizer ->
        val rescorings = vectors.list("rescorings").map {
            Rescoring(it.double("weight"), it.boolean("per_label"), if ("nbest" in it) it.int("nbest") else null)
        }
        val hotwords = recognizer.hotwords(vectors.strings("names").map { Phrase(it) }, vectors.double("name_weight"))
        val stream = recognizer.streamTwoPass()
        for ((expected, frames) in vectors.list("two_pass").zip(utterances)) {
            assertStreamed(expected, stream, frames)
            val candidates = recognizer.candidates(frames)
            assertEquals(expected.matrix("candidates"), candidates.map { one -> one.tokens.map { it.toDouble() } })
            assertClose(expected.numbers("first"), candidates.map { it.first }, 1e-4)
            assertClose(expected.numbers("second"), candidates.map { it.second }, 1e-4)
            assertEquals(expected.strings("chosen"), rescorings.map { recognizer.transcribeTwoPass(frames, it) })
            for ((rescoring, text) in rescorings.zip(expected.strings("chosen"))) {
                assertEquals(text, recognizer.streamTwoPass(rescoring).also { it.accept(frames) }.finish())
            }
            assertEquals(expected.string("hotwords"), recognizer.transcribeTwoPass(frames, hotwords = hotwords))
            assertEquals(expected.string("hotwords"), recognizer.streamTwoPass(hotwords = hotwords).also { it.accept(frames) }.finish())
        }
        val tooLong = told { repeat(6) { stream.accept(Frames(FloatArray(24 * 40), 40)) } }
        assertEquals("expected at most 1.22 s for both passes, got more; cut it at pauses", tooLong)
    }

    @Test
    fun `nothing and silence are empty`() {
        Shipped.recognizer().use { recognizer ->
            val stream = recognizer.stream()
            assertEquals("", stream.finish())
            repeat(3) { assertEquals("", stream.accept(FloatArray(0)) + stream.accept(Frames(FloatArray(0), 40))) }
            assertEquals("", stream.finish())
            assertEquals("", stream.accept(FloatArray(32000)) + stream.finish())
            assertEquals(emptyList<Int>(), stream.tokens)
        }
        recognizer("two_pass").use { assertEquals("", it.streamTwoPass().finish()) }
    }

    @Test
    fun `what is no chunk is refused and leaves the utterance as it was`() = recognizer("early").use { recognizer ->
        val (expected, stream) = vectors.list("exits")[1].list("utterances")[0] to recognizer.stream()
        stream.accept(utterances[0].part(0, 50))
        assertEquals("chunk: expected frames of 40 values, got 39", told { stream.accept(Frames(FloatArray(39), 39)) })
        val infinite = Frames(FloatArray(40) { Float.POSITIVE_INFINITY }, 40)
        assertEquals("chunk: expected finite frames, some are NaN or infinite", told { stream.accept(infinite) })
        val unscaled = told { stream.accept(FloatArray(9) { 300f }) }
        assertEquals("chunk: expected samples from -1 to 1, got a peak of 300.0; divide samples of 16 bits by 32768", unscaled)
        stream.accept(utterances[0].part(50, 120))
        assertEquals(expected.string("text"), stream.finish())
    }

    @Test
    fun `a model that does not stream, or has no second pass, says so`() {
        recognizer("decoder").use {
            assertTrue(told { it.stream() }.endsWith("its encoder needs the whole utterance; transcribe without streaming"))
        }
        recognizer("early").use {
            val expected = "expected a second pass over the n-best, got none; use stream or transcribeFrames"
            assertTrue(told { it.streamTwoPass() }.endsWith(expected))
        }
    }
}
