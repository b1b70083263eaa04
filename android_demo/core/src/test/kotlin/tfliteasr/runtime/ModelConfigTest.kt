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
