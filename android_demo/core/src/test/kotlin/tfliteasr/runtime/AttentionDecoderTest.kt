package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.ln
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.text.CharacterTokenizer
import tfliteasr.text.SubwordTokenizer

private const val END = 2
private const val VOCABULARY = 5

/** The beam search of a decoder, over a model that says what [probabilities] do of the tokens in its cache. */
class AttentionDecoderTest {
    private val features = StemConfig(4, 16000)
    private val sizes = SizeConfig(1, 50, 12, 24, 10, 3)

    private fun config(tokensPerSecond: Double = 6.5) = DecoderConfig(2, 2, 2, VOCABULARY, 1, END, tokensPerSecond, null).let {
        ModelConfig(EncoderConfig(1, 0, 1, listOf(1)), sizes, features, 29, null, 0, decoder = it)
    }

    /** Keeps each token in all values of its key, and reads the tokens before from there. */
    private inner class Model(private val probabilities: (List<Int>) -> List<Double>) : SignatureModel {
        val asked = ArrayList<List<List<Int>>>() // histories by call and row

        override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
            if (name == "decode_start") return mapOf("cross_keys" to Tensor.floats(1))
            assertEquals(setOf("cross_keys", "encoded_lengths", "tokens", "position", "keys", "values"), inputs.keys)
            val (keys, beam) = inputs.getValue("keys") to sizes.beam
            val (heads, longest, size) = keys.shape.drop(2)
            val position = inputs.getValue("position").int(0)
            val tokens = inputs.getValue("tokens").ints()
            val histories = List(beam) { row ->
                val first = (keys.shape[1] + row) * heads * longest * size + size * longest // the last layer and head
                List(position) { keys.float(first + it * size).toInt() } + tokens[row]
            }
            asked.add(histories)
            val made = Tensor.floats(2, beam, heads, 1, size)
            made.put(0, FloatArray(made.elements) { tokens[it / (heads * size) % beam].toFloat() })
            val all = histories.flatMap { history -> probabilities(history.drop(1)).map { ln(it).toFloat() } }
            val said = Tensor.floats(beam, VOCABULARY).put(0, all.toFloatArray())
            return mapOf("log_probabilities" to said, "keys" to made, "values" to made)
        }

        override fun anew() = Model(probabilities)

        override fun close() {}
    }

    /** What a first pass over the letters of tokens 3 and 4 says that is as sure of A at its first step as given. */
    private fun first(ofA: Float = 0.4f): FirstPassScores {
        val rows = listOf(floatArrayOf(0.2f, ofA, 0.8f - ofA), floatArrayOf(0.8f, 0.1f, 0.1f))
        val labels = rows.map { row -> FloatArray(3) { ln(row[it]) } }
        return FirstPassScores(labels, CharacterTokenizer("AB"), SubwordTokenizer(listOf("<unk>", "<s>", "</s>", "a", "b")))
    }

    private fun nbest(
        model: Model,
        config: ModelConfig = config(),
        steps: Int = 50,
        rescoring: Rescoring = Rescoring(1.0, perLabel = true),
        first: FirstPassScores = first(),
    ) = AttentionDecoder(model, config, config.decoder!!).nbest(Tensor.floats(1, 50, 4), steps, rescoring, first)

    /** Another distribution after each history. */
    private fun varied(history: List<Int>): List<Double> {
        val number = history.fold(7) { sum, token -> 31 * sum + token }
        val raw = List(VOCABULARY) { token -> 1.0 + (number * (token + 3)).mod(11) }
        return raw.map { it / raw.sum() }
    }

    @Test
    fun `each hypothesis goes on from its own tokens`() {
        val model = Model(::varied)
        val found = nbest(model)
        assertTrue(model.asked.size > 2)
        for (hypothesis in found) {
            val expected = (hypothesis.tokens + END).withIndex().sumOf { (place, token) ->
                ln(varied(hypothesis.tokens.take(place))[token])
            }
            assertEquals(expected, hypothesis.second, 1e-5)
        }
        val tokenScores = found.map { it.second / (it.tokens.size + 1) }
        assertEquals(tokenScores.sortedDescending(), tokenScores)
    }

    @Test
    fun `what ended stands when no other is likelier a token`() {
        val (ends, goesOn) = listOf(0.01, 0.01, 0.95, 0.02, 0.01) to listOf(0.02, 0.02, 0.02, 0.9, 0.04)
        val model = Model { history -> if (history == listOf(3)) ends else goesOn }
        val found = nbest(model)
        assertEquals(listOf(3), found[0].tokens)
        assertEquals(0.9 * 0.95, exp(found[0].second), 1e-6)
        assertEquals(2, model.asked.size)
    }

    @Test
    fun `the first pass decides where the decoder is unsure`() {
        val unsure = listOf(0.01, 0.01, 0.02, 0.5, 0.46)
        val ends = listOf(0.01, 0.01, 0.96, 0.01, 0.01)
        val model = Model { history -> if (history.isEmpty()) unsure else ends }
        val both = Rescoring(0.7)
        assertEquals(listOf(3), nbest(model)[0].tokens)
        assertEquals(listOf(3), nbest(model, rescoring = both, first = first(0.7f))[0].tokens)
        val found = nbest(model, rescoring = both, first = first(0.1f))
        assertEquals(listOf(4), found[0].tokens)
        // B at the first step and a blank or B again, or a blank and then B
        assertEquals(ln(0.7 * 0.9 + 0.2 * 0.1), found[0].first, 1e-6)
        assertEquals(found.map(both::score).sortedDescending(), found.map(both::score))
    }

    @Test
    fun `seconds bound the tokens of one that never ends`() {
        val model = Model { listOf(0.1, 0.1, 1e-9, 0.5, 0.3) }
        val found = nbest(model)
        assertEquals(listOf(8, 8, 8), found.map { it.tokens.size }) // 1.23 s of 6.5
        assertEquals(8 * ln(0.5), found[0].second, 1e-5) // without the end
        assertEquals(1, nbest(model, steps = 1)[0].tokens.size) // 0.06 s
        assertEquals(3, nbest(model, config(9.0), steps = 13)[0].tokens.size) // 0.34 s of 9
    }
}
