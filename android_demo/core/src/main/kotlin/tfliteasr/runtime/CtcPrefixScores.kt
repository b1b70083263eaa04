package tfliteasr.runtime

/** Labels at the end of a sequence; a text that grows may change there: "2" is spelled TWO, "21" TWENTY ONE. */
private const val KEPT = 40

/** Log probabilities of the paths that spell a prefix within the first steps, by where they end, and that of the prefix. */
private class Paths(val last: DoubleArray, val blank: DoubleArray, val prefix: Double)

/**
 * log P(the utterance's labels begin with a prefix), for prefixes that grow label by label (Watanabe et al. 2017, doi
 * 10.1109/JSTSP.2017.2763455, section IV-B; Graves 2008, section 7.5). What was computed of a prefix is kept for those that
 * continue it.
 *
 * @param labels log probabilities, one row a step of one utterance, label 0 being blank.
 */
class CtcPrefixScores(private val labels: List<FloatArray>) {
    private val never = Double.NEGATIVE_INFINITY
    private val known = HashMap<List<Int>, Paths>()

    init {
        val blank = DoubleArray(labels.size + 1)
        labels.forEachIndexed { step, row -> blank[step + 1] = blank[step] + row[0] }
        known[emptyList()] = Paths(DoubleArray(labels.size + 1) { never }, blank, 0.0)
    }

    /** The log probability of all label sequences that begin with this one, in nats. */
    fun prefix(labels: List<Int>): Double = paths(labels).prefix

    /** The log probability of just this label sequence, in nats. */
    fun whole(labels: List<Int>): Double = paths(labels).let { addedLogs(it.last.last(), it.blank.last()) }

    /** Drop what was computed of all prefixes but the last ones of these sequences; it is computed again if need be. */
    fun keep(sequences: List<List<Int>>) {
        val last = sequences.flatMapTo(hashSetOf(emptyList<Int>())) { labels ->
            (maxOf(0, labels.size - KEPT)..labels.size).map { labels.take(it) }
        }
        known.keys.retainAll(last)
    }

    private fun paths(labels: List<Int>): Paths = known[labels] ?: continued(labels).also { known[labels] = it }

    /** With y the probabilities of the last label by step: g[t] = y[t] (g[t - 1] + h[t - 1]), h being the paths before. */
    private fun continued(prefix: List<Int>): Paths {
        val (before, label) = paths(prefix.dropLast(1)) to prefix.last()
        // the same label once more needs a blank between
        val again = prefix.size > 1 && prefix[prefix.size - 2] == label
        val last = DoubleArray(labels.size + 1) { never }
        val blank = DoubleArray(labels.size + 1) { never }
        var sum = never
        labels.forEachIndexed { step, row ->
            val reached = if (again) before.blank[step] else addedLogs(before.last[step], before.blank[step])
            sum = addedLogs(sum, reached + row[label])
            last[step + 1] = addedLogs(last[step], reached) + row[label]
            blank[step + 1] = addedLogs(blank[step], last[step]) + row[0]
        }
        return Paths(last, blank, sum)
    }
}
