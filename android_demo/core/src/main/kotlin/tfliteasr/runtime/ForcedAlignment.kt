package tfliteasr.runtime

private const val NEVER = Double.NEGATIVE_INFINITY

/** First and last encoder step of each token of a text. */
class Alignment(val first: IntArray, val last: IntArray)

/**
 * The likeliest CTC path that spells [tokens] (Graves et al. 2006, section 4.1, with max in place of sum); null where no
 * path has room for them.
 *
 * @param logProbabilities of the labels, one row a step of one utterance, label 0 being blank.
 */
fun ctcAlignment(logProbabilities: List<FloatArray>, tokens: IntArray): Alignment? {
    val size = 2 * tokens.size + 1 // a blank before, between and after the labels
    val label = IntArray(size) { if (it % 2 == 1) tokens[it / 2] else 0 }
    val moved = logProbabilities.map { IntArray(size) } // how many places the best path moved on
    var best = DoubleArray(size) { NEVER }
    logProbabilities.forEachIndexed { step, row ->
        val next = DoubleArray(size) { NEVER }
        for (place in 0 until size) {
            // over the blank between two labels, unless they are the same
            val skips = place % 2 == 1 && place > 1 && label[place] != label[place - 2]
            for (moves in 0..(if (step == 0) 0 else if (skips) 2 else minOf(1, place))) {
                val before = if (step == 0) (if (place < 2) 0.0 else NEVER) else best[place - moves]
                if (before > next[place]) {
                    next[place] = before
                    moved[step][place] = moves
                }
            }
            next[place] += row[label[place]].toDouble()
        }
        best = next
    }
    var place = size - 1
    if (tokens.isNotEmpty() && best[place - 1] > best[place]) place--
    if (logProbabilities.isEmpty() || best[place] == NEVER) return null
    val alignment = Alignment(IntArray(tokens.size), IntArray(tokens.size) { -1 })
    for (step in logProbabilities.indices.reversed()) {
        if (place % 2 == 1) {
            if (alignment.last[place / 2] < 0) alignment.last[place / 2] = step
            alignment.first[place / 2] = step
        }
        place -= moved[step][place]
    }
    return alignment
}

/**
 * The step at which each token comes out, on the likeliest path through a transducer's lattice (Graves 2012, section 2.4,
 * with max in place of sum).
 *
 * @param blank log probability of blank at each step behind so many tokens, one more than there are.
 * @param label log probability of the token that is next, at each step.
 */
fun transducerAlignment(blank: List<DoubleArray>, label: List<DoubleArray>): IntArray {
    val tokens = blank[0].size - 1
    val entered = blank.map { IntArray(tokens + 1) } // behind how many tokens the best path came to this step
    var best = DoubleArray(tokens + 1) { if (it == 0) 0.0 else NEVER }
    for (step in blank.indices) {
        val next = DoubleArray(tokens + 1)
        for (place in 0..tokens) {
            next[place] = best[place]
            entered[step][place] = place
            if (place == 0) continue
            val along = next[place - 1] + label[step][place - 1]
            if (along > best[place]) {
                next[place] = along
                entered[step][place] = entered[step][place - 1]
            }
        }
        best = DoubleArray(tokens + 1) { next[it] + blank[step][it] }
    }
    val emitted = IntArray(tokens)
    var place = tokens
    for (step in blank.indices.reversed()) {
        val first = entered[step][place]
        emitted.fill(step, first, place)
        place = first
    }
    return emitted
}
