package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.text.SubwordTokenizer
import tfliteasr.text.Tokenizer

private const val UNLIKELY = -1e4 // nats: what a pass says of a text that it cannot spell

/**
 * Log probabilities of subword sequences by the labels that spell them: of letters, if the first pass has letters, without case
 * and punctuation.
 *
 * @param labels log probabilities of the first pass, one row a step of one utterance.
 * @param tokenizer of the first pass.
 * @param subwords of the decoder.
 */
class FirstPassScores(labels: List<FloatArray>, private val tokenizer: Tokenizer, private val subwords: SubwordTokenizer) {
    private val prefixes = CtcPrefixes(labels)

    /** log P(the utterance begins with these subwords), in nats. */
    fun begun(tokens: List<Int>): Double {
        val text = subwords.decode(tokens)
        return if (text.any(Char::isLetterOrDigit)) score(text, prefixes::prefix) else 0.0 // so far nothing but punctuation
    }

    /** log P(these subwords | utterance), in nats; that nothing is said counts as what cannot be spelled. */
    fun whole(tokens: List<Int>): Double = score(subwords.decode(tokens), prefixes::whole)

    private fun score(text: String, of: (List<Int>) -> Double): Double = try {
        maxOf(UNLIKELY, of(tokenizer.encode(text).asList()))
    } catch (_: InputError) { // nothing, or characters that the first pass does not have
        UNLIKELY
    }
}
