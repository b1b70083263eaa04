package tfliteasr.runtime

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.data.withoutTail
import tfliteasr.text.CharacterTokenizer
import tfliteasr.text.decoderTokenizer
import tfliteasr.text.labelTokenizer
import tfliteasr.text.tokenizerFromJson

/** The configuration of a waveform stem, a transformer and a decoder, as vectors/of_second_pass.py exported it. */
class ModelConfigTest {
    private val described = Json.parse(File("../vectors/decoder.json").readText()) as Map<*, *>
    private val model = described["model"] as Map<*, *>
    private val config = of()

    private fun of(vararg changes: Pair<String, Any?>) =
        ModelConfig.fromJson(JsonObject(model + changes, "decoder.json: model"))

    private fun told(problem: () -> Unit): String = assertThrows(InputError::class.java) { problem() }.message!!

    @Test
    fun `a stem, a transformer and a decoder are read`() {
        assertEquals(StemConfig(16, 16000), config.features)
        assertEquals(listOf(19711, 1279), listOf(config.features.samplesOf(50), config.features.samplesOf(2)))
        assertEquals(listOf(0, 1, 1, 2), listOf(894, 895, 1278, 1279).map(config.features::framesOf))
        assertEquals(EncoderConfig(1, 0, 1, listOf(1)), config.encoder)
        assertEquals(1 to 800, config.framesPerStep to config.edgeSamples)
        val decoder = config.decoder!!
        assertEquals(listOf(1, 2, 8), listOf(decoder.layers, decoder.heads, decoder.headSize))
        assertEquals(1 to 2, decoder.start to decoder.end)
        assertEquals(8, config.maxSubwords) // 1.23 s of 6.5
        assertTrue(config.cased)
    }

    private fun withLengths(vararg lengths: Long) = of("sizes" to (model["sizes"] as Map<*, *>) + ("lengths" to lengths.toList()))

    @Test
    fun `an utterance takes the smallest sizes that hold it and its labels`() {
        val several = withLengths(13, 24)
        assertEquals(config, config.shortest(1))
        assertEquals(several.atLength(13), several.shortest(13, 8))
        assertEquals(several.atLength(24), several.shortest(13, 9)) // 13 / 50 of 20 labels are 5.2, half as many more 7.8
        assertEquals(several.atLength(24), several.shortest(14))
        assertEquals(several, several.shortest(25))
        val sizes = several.atLength(13).sizes
        assertEquals(listOf(13, 8), listOf(sizes.maxFrames, sizes.maxTokens))
        assertEquals("_13f" to emptyList<Int>(), sizes.suffix to sizes.lengths)
        for (wrong in listOf(longArrayOf(24, 13), longArrayOf(0), longArrayOf(50), longArrayOf(13, 13))) {
            assertTrue("expected lengths in rising order from 1 to 49 frames, got [" in told { withLengths(*wrong) })
        }
    }

    @Test
    fun `labels are the subwords of a second pass that trains`() {
        assertEquals(listOf(20, 1, 1 + 28), listOf(config.maxLabels, config.firstLabel, config.labelBound))
        val trains = of("decoder" to (model["decoder"] as Map<*, *>) + ("trains" to true))
        assertEquals(listOf(8, 3, 40), listOf(trains.maxLabels, trains.firstLabel, trains.labelBound))
        assertEquals(listOf(1, 3, 8), listOf(1, 17, 50).map(trains::mostSubwords)) // of 0.06, 0.44 and 1.23 s
        val letters = CharacterTokenizer(" AB")
        assertEquals(letters, labelTokenizer(config, letters, decoderTokenizer(config)))
        val sentences = labelTokenizer(trains, letters, decoderTokenizer(trains))
        assertEquals("Bad cab", sentences.decode(sentences.encode("BAD CAB").asIterable()))
        assertEquals("bad CAB", sentences.decode(sentences.encode("bad CAB").asIterable()))
        assertTrue("expected a second pass with its subwords to learn from" in told { labelTokenizer(trains, letters, null) })
    }

    @Test
    fun `subwords are the decoder's, and letters are spelled as they are said`() {
        val subwords = decoderTokenizer(config)!!
        assertEquals("BAD cab", subwords.decode(subwords.encode("BAD cab").asIterable()))
        assertNull(decoderTokenizer(of("decoder" to null)))
        assertNull(decoderTokenizer(of("decoder" to (model["decoder"] as Map<*, *>) + ("subwords" to null))))
        val letters = tokenizerFromJson(JsonObject(described, "decoder.json").at("tokenizer")) as CharacterTokenizer
        assertTrue(letters.normalizes)
    }

    @Test
    fun `kinds that are not known are refused`() {
        fun kind(part: String) = part to (model[part] as Map<*, *>) + ("kind" to "x")
        val expected = "decoder.json: model: features: no front end named 'x'; there are: log_mel, stem"
        assertEquals(expected, told { of(kind("features")) })
        assertTrue("no encoder named 'x'; there are: lstm, conformer, transformer" in told { of(kind("encoder")) })
    }

    @Test
    fun `a stem's utterance has no tail to take off`() {
        val frames = Frames(FloatArray(32), 16)
        assertEquals(frames, withoutTail(frames, config))
    }
}
