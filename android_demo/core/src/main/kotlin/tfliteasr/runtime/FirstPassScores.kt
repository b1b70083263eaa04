package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.text.SubwordTokenizer
import tfliteasr.text.Tokenizer
import tfliteasr.text.normalized

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
    private val scores = CtcPrefixScores(labels)

    /** log P(the utterance begins with these subwords), in nats. */
    fun prefix(tokens: List<Int>): Double = labels(tokens)?.let { maxOf(UNLIKELY, scores.prefix(it)) } ?: UNLIKELY

    /** log P(these subwords | utterance), in nats; [UNLIKELY] if they have no letters. */
    fun whole(tokens: List<Int>): Double =
        labels(tokens)?.ifEmpty { null }?.let { maxOf(UNLIKELY, scores.whole(it)) } ?: UNLIKELY

    /** Keep the scores that continuations of these subword sequences need, and drop the others. */
    fun keep(sequences: List<List<Int>>) = scores.keep(sequences.mapNotNull(::labels))

    /** The labels that spell subwords: none for punctuation alone; null if a character has no label. */
    private fun labels(tokens: List<Int>): List<Int>? {
        val text = subwords.decode(tokens)
        return try {
            tokenizer.encode(text).asList()
        } catch (_: InputError) {
            if (normalized(text).isEmpty()) emptyList() else null
        }
    }
}
