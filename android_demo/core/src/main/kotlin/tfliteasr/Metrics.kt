package tfliteasr

import tfliteasr.text.normalized

/**
 * Errors pooled over utterances: all errors by all reference words, not the mean of the utterances' rates.
 *
 * @property wer word error rate as a fraction; over 1 if there are more errors than reference words.
 * @property cer character error rate as a fraction; the space between words is a character.
 */
data class ErrorRates(val wer: Double, val cer: Double, val wordErrors: Int, val words: Int, val utterances: Int)

/**
 * Error rates of transcripts, compared as they are but for white space, or as [normalized] spells them.
 *
 * @param normalize case, punctuation and the spelling of numbers are no errors.
 */
fun errorRates(references: List<String>, hypotheses: List<String>, normalize: Boolean = false): ErrorRates {
    if (references.size != hypotheses.size) {
        throw InputError(
            "expected one hypothesis for each reference, got ${references.size} references and ${hypotheses.size} hypotheses",
        )
    }
    if (references.isEmpty()) throw InputError("expected at least one reference to count errors against, got none")
    val empty = references.indexOfFirst { words(it).isEmpty() }
    if (empty >= 0) {
        throw InputError(
            "reference ${empty + 1} of ${references.size} is empty; " +
                "an error rate needs words to count against, so leave the utterance out",
        )
    }
    val pairs = references.zip(hypotheses) { left, right -> comparedWords(left, right, normalize) }
    val (said, heard) = pairs.unzip()
    val wordErrors = said.zip(heard).sumOf { (left, right) -> editDistance(left, right) }
    val wordCount = said.sumOf { it.size }
    val saidText = said.map { it.joinToString(" ").toList() }
    val heardText = heard.map { it.joinToString(" ").toList() }
    val characterErrors = saidText.zip(heardText).sumOf { (left, right) -> editDistance(left, right) }
    return ErrorRates(
        wer = wordErrors.toDouble() / wordCount,
        cer = characterErrors.toDouble() / saidText.sumOf { it.size },
        wordErrors = wordErrors,
        words = wordCount,
        utterances = references.size,
    )
}

/** The fraction of [before] by which the error rate fell; negative if it rose, -1 if it rose from 0. */
fun relativeReduction(before: Double, after: Double): Double =
    if (before == 0.0) (if (after == 0.0) 0.0 else -1.0) else (before - after) / before

/** The fewest substitutions, deletions and insertions that make [right] of [left]. */
fun <T> editDistance(left: List<T>, right: List<T>): Int {
    var row = IntArray(right.size + 1) { it }
    for ((i, expected) in left.withIndex()) {
        val next = IntArray(right.size + 1)
        next[0] = i + 1
        for ((j, found) in right.withIndex()) {
            val substituted = row[j] + if (expected == found) 0 else 1
            next[j + 1] = minOf(substituted, row[j + 1] + 1, next[j] + 1)
        }
        row = next
    }
    return row[right.size]
}

/** The words of a reference and of a hypothesis as [errorRates] compares them. */
internal fun comparedWords(reference: String, hypothesis: String, normalize: Boolean): Pair<List<String>, List<String>> {
    val (said, heard) = if (normalize) normalizedPair(reference, hypothesis) else reference to hypothesis
    return words(said) to words(heard)
}

/** Both normalized, unless the reference is punctuation alone: then they are compared as they are. */
private fun normalizedPair(reference: String, hypothesis: String): Pair<String, String> {
    val words = normalized(reference)
    return if (words.isEmpty()) reference to hypothesis else words to normalized(hypothesis)
}

private fun words(text: String): List<String> = text.split(Regex("\\s+")).filter { it.isNotEmpty() }
