package tfliteasr.jvm

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import tfliteasr.JsonObject
import tfliteasr.audio.readWav
import tfliteasr.data.readManifest
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Word

/** Words, times and confidences are Python's, by a transducer and by CTC with a decoder (vectors/of_words.py). */
class WordsTest {
    private val vectors = Shipped.vectors("words")

    private fun tone(length: Int) = FloatArray(length) {
        val seconds = it / 16000.0
        (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat()
    }

    private fun assertWords(expected: JsonObject, found: List<Word>) {
        assertEquals(expected.strings("texts"), found.map { it.text })
        if (found.isEmpty()) return
        assertClose(expected.matrix("spans").flatten(), found.flatMap { listOf(it.startSeconds, it.endSeconds) }, 1e-6)
        expected.numbers("confidences").zip(found) { confidence, word -> assertEquals(confidence, word.confidence, 1e-4) }
    }

    @Test
    fun `words of the shipped model`() = Shipped.recognizer().use { recognizer ->
        val recordings = readManifest(Shipped.folder.resolve("speech/manifest.jsonl"))
        for ((expected, row) in vectors.list("shipped").zip(recordings)) {
            assertWords(expected, recognizer.words(readWav(row.audio).samples))
        }
        assertEquals(emptyList<Word>(), recognizer.words(FloatArray(16000)))
    }

    @Test
    fun `words of a second pass that decodes`() {
        val artifact = Artifact.read(Shipped.folder.resolve("decoder.tflite"))
        Recognizer(artifact, LiteRtModel(artifact.path)).use { recognizer ->
            val lengths = vectors.shape("lengths")
            for ((expected, length) in vectors.list("tones").zip(lengths.toList())) {
                assertWords(expected, recognizer.words(tone(length)))
            }
            val samples = tone(lengths[0])
            for ((expected, text) in vectors.list("small").zip(vectors.strings("texts"))) {
                assertWords(expected, recognizer.timedWords(recognizer.features(samples), text, samples))
            }
        }
    }
}
