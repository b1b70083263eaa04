package tfliteasr.jvm

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.text.Phrase

/** Beam searches with hotwords hear what Python's hear (vectors/of_hotwords.py). */
class HotwordsTest {
    private val vectors = Shipped.vectors("hotwords")
    private val weights = vectors.numbers("weights")

    private fun recognizer(name: String): Recognizer =
        Artifact.read(Shipped.folder.resolve("$name.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private fun phrases(name: String) = vectors.list(name).map { Phrase(it.string("text"), it.double("weight")) }

    @Test
    fun `a transducer hears the same with hotwords`() = recognizer("early").use { recognizer ->
        val utterances = Shipped.vectors("exits").shape("lengths").map(::noise)
        val untuned = recognizer.hotwords(phrases("first_pass"))
        assertThrows(InputError::class.java) { recognizer.transcribeFrames(utterances[0], hotwords = untuned) }
        assertThrows(InputError::class.java) { recognizer.hotwords(emptyList()) }
        for ((weight, expected) in weights.zip(vectors.list("transducer"))) {
            val hotwords = recognizer.hotwords(phrases("first_pass"), weight)
            if (weight == 0.0) assertNull(hotwords)
            val found = utterances.map { recognizer.transcribeFrames(it, beam = true, hotwords = hotwords) }
            assertEquals(expected.strings("texts"), found, "$weight")
        }
    }

    @Test
    fun `both passes hear the same with hotwords`() = recognizer("decoder").use { recognizer ->
        val frames = Shipped.vectors("second_pass").shape("lengths").map { length ->
            recognizer.features(
                FloatArray(length) {
                    val seconds = it / 16000.0
                    (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat()
                },
            )
        }
        var gained = 0
        for ((weight, expected) in weights.zip(vectors.list("decoder"))) {
            val hotwords = recognizer.hotwords(phrases("decoded"), weight)
            val heard = frames.map { recognizer.transcribeFrames(it, beam = true, hotwords = hotwords) }
            assertEquals(expected.strings("beam"), heard, "$weight")
            for ((row, candidates) in expected.list("nbest").zip(frames.map { recognizer.candidates(it, hotwords) })) {
                assertEquals(row.matrix("tokens").map { tokens -> tokens.map { it.toInt() } }, candidates.map { it.tokens })
                assertClose(row.numbers("second"), candidates.map { it.second }, 1e-4)
                assertClose(row.numbers("bonuses"), candidates.map { it.bonus }, 1e-4)
                gained += candidates.count { it.bonus > 0 }
            }
            assertEquals(expected.strings("two_pass"), frames.map { recognizer.transcribeTwoPass(it, hotwords = hotwords) })
        }
        assertTrue(gained > 5)
    }
}
