package tfliteasr.runtime

import tfliteasr.text.Walked

private const val NEVER = Double.NEGATIVE_INFINITY

/** Log probability of the alignments that end in blank, and of those that end in the last label. */
private class Ends(val blank: Double, val last: Double) {
    val total: Double get() = addedLogs(blank, last)
}

/**
 * CTC prefix search with a beam (Graves et al. 2006, section 3.2; Hannun et al. 2014, algorithm 1, without a language
 * model): alignments of one label sequence add up.
 *
 * @param logProbabilities of the labels, one row a step of one utterance, label 0 being blank.
 * @param beam label sequences kept after each step.
 * @param maxTokens longest label sequence.
 * @param hotwords whose bonus counts in what is kept, over the labels.
 * @return at most [beam] hypotheses, best first.
 */
fun prefixBeamSearch(
    logProbabilities: List<FloatArray>,
    beam: Int,
    maxTokens: Int,
    hotwords: TokenBonus? = null,
): List<Hypothesis> {
    var kept: Map<List<Int>, Ends> = mapOf(emptyList<Int>() to Ends(0.0, NEVER))
    var walked = mapOf(emptyList<Int>() to Walked(hotwords?.start ?: 0, 0.0)) // of each sequence that was found
    for (row in logProbabilities) {
        val found = LinkedHashMap<List<Int>, Ends>()
        val reached = HashMap(walked)
        val likeliest = bestLabels(row, null, beam)
        for ((tokens, ends) in kept) {
            add(found, tokens, ends.total + row[0], if (tokens.isEmpty()) NEVER else ends.last + row[tokens.last()])
            if (tokens.size == maxTokens) continue
            val before = walked.getValue(tokens)
            for (label in if (hotwords == null) likeliest else bestLabels(row, hotwords.gains(before.state), beam)) {
                // the same label once more needs a blank between
                val total = if (tokens.lastOrNull() == label) ends.blank else ends.total
                add(found, tokens + label, NEVER, total + row[label])
                reached.getOrPut(tokens + label) { before.on(hotwords, label) }
            }
        }
        val best = found.entries.sortedByDescending { it.value.total + reached.getValue(it.key).bonus }.take(beam)
        kept = best.associate { it.key to it.value }
        walked = kept.keys.associateWith(reached::getValue)
    }
    val ended = kept.map { (tokens, ends) ->
        val last = walked.getValue(tokens)
        Hypothesis(tokens, ends.total, last.bonus + (hotwords?.final(last.state) ?: 0.0))
    }
    return ended.sortedByDescending { it.score }
}

/** The labels of the highest scores, best first: one outside the best leads to no sequence that would be kept. */
private fun bestLabels(row: FloatArray, gains: DoubleArray?, beam: Int): List<Int> =
    (1 until row.size).sortedByDescending { row[it] + (gains?.get(it) ?: 0.0) }.take(beam)

/** The best label of each step, repeats joined, then blanks dropped. */
fun bestPath(logProbabilities: List<FloatArray>): List<Int> {
    val path = logProbabilities.map { row -> row.indices.maxBy { row[it] } }
    return path.filterIndexed { step, label -> label != 0 && (step == 0 || label != path[step - 1]) }
}

private fun add(found: MutableMap<List<Int>, Ends>, tokens: List<Int>, blank: Double, last: Double) {
    val known = found[tokens]
    found[tokens] = if (known == null) Ends(blank, last) else Ends(addedLogs(known.blank, blank), addedLogs(known.last, last))
}
