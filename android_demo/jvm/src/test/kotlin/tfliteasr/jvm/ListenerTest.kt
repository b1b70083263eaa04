package tfliteasr.jvm

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.audio.EndpointRules
import tfliteasr.audio.Sound
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Heard
import tfliteasr.runtime.Hotwords
import tfliteasr.runtime.Listener
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.endpointerFor
import tfliteasr.text.Phrase

/** What a listener hears in a stream with pauses is what Python's hears (vectors/of_streaming.py). */
class ListenerTest {
    private val vectors = Shipped.vectors("streaming")
    private val listened = vectors.at("listened")
    private val sizes = vectors.at("chunks").shape("samples").toList()
    private val rules = listened.at("rules").let {
        EndpointRules(it.double("leading_silence_seconds"), it.double("trailing_silence_seconds"), it.double("longest_seconds"))
    }

    private fun recognizer(name: String): Recognizer =
        Artifact.read(Shipped.folder.resolve("$name.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private fun listener(recognizer: Recognizer, hotwords: Hotwords? = null, exit: Int = recognizer.artifact.exits.lastIndex) =
        Listener(recognizer, endpointerFor(recognizer.config, rules), hotwords, exit)

    private fun Listener.all(samples: FloatArray, sizes: List<Int> = this@ListenerTest.sizes): List<Heard> =
        chunks(samples.size, sizes).flatMap { accept(samples.sliceArray(it)) } + finish()

    private fun assertHeard(expected: List<JsonObject>, found: List<Heard>) {
        assertEquals(expected.map { it.string("text") to ("endpoint" in it) }, found.map { it.text to it.over })
        for ((row, heard) in expected.zip(found).filter { it.second.over }) {
            val (place, endpoint) = row.at("endpoint") to heard.endpoint!!
            assertEquals(place.string("rule"), endpoint.rule)
            val seconds = listOf(endpoint.startSeconds, endpoint.endSeconds, endpoint.speechStartSeconds!!, endpoint.speechEndSeconds!!)
            val names = listOf("start_seconds", "end_seconds", "speech_start_seconds", "speech_end_seconds")
            assertClose(names.map(place::double), seconds, 1e-9)
            val words = row.at("words")
            assertEquals(words.strings("texts"), heard.words.map { it.text })
            assertClose(words.matrix("spans").flatten(), heard.words.flatMap { listOf(it.startSeconds, it.endSeconds) }, 1e-6)
            // the same kernels in two builds of the library, summed up over an utterance
            words.numbers("confidences").zip(heard.words) { confidence, word -> assertEquals(confidence, word.confidence, 1e-4) }
        }
    }

    @Test
    fun `live text, and utterances with words when they are over`() = Shipped.recognizer().use { recognizer ->
        val listener = listener(recognizer)
        assertHeard(listened.list("shipped"), listener.all(Shipped.stream()))
        // another stream, in chunks of another size
        assertHeard(listened.list("shipped"), listener.all(Shipped.stream(), listOf(1600)))
        val names = recognizer.hotwords(listened.strings("hotwords").map { Phrase(it) }, listened.double("hotword_weight"))
        assertHeard(listened.list("with_hotwords"), listener(recognizer, names).all(Shipped.stream()))
    }

    @Test
    fun `live text of an early exit`() = recognizer("early").use { recognizer ->
        assertHeard(listened.list("early"), listener(recognizer, exit = 0).all(Shipped.stream()))
    }

    @Test
    fun `a model that does not stream is heard by both passes when an utterance is over`() = recognizer("decoder").use { recognizer ->
        val samples = Shipped.vectors("second_pass").shape("lengths").zip(listened.shape("pauses").asIterable()) { length, pause ->
            FloatArray(length + pause) {
                val seconds = it / 16000.0
                if (it < length) (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat() else 0f
            }
        }
        assertHeard(listened.list("whole"), listener(recognizer).all(samples.reduce(FloatArray::plus)))
    }

    @Test
    fun `without words an utterance that is over has its text alone`() = Shipped.recognizer().use { recognizer ->
        val heard = Listener(recognizer, endpointerFor(recognizer.config, rules), words = false).all(Shipped.stream())
        assertEquals(listened.list("shipped").map { it.string("text") }, heard.map { it.text })
        assertEquals(0, heard.sumOf { it.words.size })
    }

    @Test
    fun `silence and chunks without samples are no utterance`() = Shipped.recognizer().use { recognizer ->
        val listener = Listener(recognizer)
        assertEquals(emptyList<Heard>(), listener.finish())
        repeat(3) { assertEquals(emptyList<Heard>(), listener.accept(FloatArray(0))) }
        assertEquals(emptyList<Heard>(), listener.finish())
        assertEquals(emptyList<Heard>(), listener.all(FloatArray(16000 * 13), listOf(1600, 0)))
    }

    @Test
    fun `a rate that changes, and samples that are none are refused and the stream goes on`() = Shipped.recognizer().use { recognizer ->
        fun told(problem: () -> Unit) = assertThrows(InputError::class.java) { problem() }.message
        val (listener, samples) = listener(recognizer) to Shipped.stream()
        val before = listener.accept(Sound(samples.copyOf(20000), 16000))
        val changed = told { listener.accept(Sound(FloatArray(4410), 44100)) }
        assertEquals("chunk: expected samples at 16000 Hz, got 44100 Hz; resample them", changed)
        assertEquals("chunk: expected finite samples, 2 are NaN or infinite", told { listener.accept(floatArrayOf(0f, Float.NaN, Float.NaN)) })
        assertHeard(listened.list("shipped"), before + listener.accept(samples.copyOfRange(20000, samples.size)) + listener.finish())
    }
}
