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
    fun begun(tokens: List<Int>): Double = labels(tokens)?.let { maxOf(UNLIKELY, prefixes.prefix(it)) } ?: UNLIKELY

    /** log P(these subwords | utterance), in nats; that nothing is said counts as what cannot be spelled. */
    fun whole(tokens: List<Int>): Double =
        labels(tokens)?.ifEmpty { null }?.let { maxOf(UNLIKELY, prefixes.whole(it)) } ?: UNLIKELY

    /** Drop what was computed of other subword sequences than these and their continuations. */
    fun keep(sequences: List<List<Int>>) = prefixes.keep(sequences.mapNotNull(::labels))

    /** The labels that spell subwords; none of nothing but punctuation, null of what they do not have. */
    private fun labels(tokens: List<Int>): List<Int>? {
        val text = subwords.decode(tokens)
        return try {
            if (text.any(Char::isLetterOrDigit)) tokenizer.encode(text).asList() else emptyList()
        } catch (_: InputError) {
            null
        }
    }
}
