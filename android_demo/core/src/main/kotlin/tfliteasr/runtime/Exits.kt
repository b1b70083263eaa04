package tfliteasr.runtime

import kotlin.math.exp
import tfliteasr.InputError

/* When to leave the encoder: at a given exit, or at the first that seems sure of itself (Wright et al. 2023). */

private const val NBEST = 8 // hypotheses among which the best one's share is its confidence

/**
 * One of the three; the last exit is always one to leave at.
 *
 * @property exit this one, counted from 0.
 * @property entropyBelow the first whose entropy is below this.
 * @property confidenceAbove the first whose confidence is above this.
 */
data class ExitPolicy(val exit: Int? = null, val entropyBelow: Double? = null, val confidenceAbove: Double? = null) {
    init {
        if (listOfNotNull(exit, entropyBelow, confidenceAbove).size != 1) {
            throw InputError("exit policy: expected one of an exit, an entropy and a confidence")
        }
        if (exit != null && exit < 0) throw InputError("exit policy: expected an exit of 0 or more, got $exit")
        if (entropyBelow != null && !(entropyBelow >= 0)) {
            throw InputError("exit policy: expected an entropy of 0 or more, got $entropyBelow")
        }
        if (confidenceAbove != null && !(confidenceAbove in 0.0..1.0)) {
            throw InputError("exit policy: expected a confidence from 0 to 1, got $confidenceAbove")
        }
    }

    /** Whether to stop at this exit, from its log probabilities, one row a step. */
    fun leaves(exit: Int, logProbabilities: List<FloatArray>): Boolean = when {
        this.exit != null -> exit >= this.exit
        entropyBelow != null -> entropy(logProbabilities) < entropyBelow
        else -> confidence(logProbabilities) > confidenceAbove!!
    }
}

/** H = -1/(T V) sum over steps and labels of p log p, in nats: from 0 (sure) to log(V) / V (any label). */
fun entropy(logProbabilities: List<FloatArray>): Double {
    val values = logProbabilities.flatMap { it.asList() }
    return if (values.isEmpty()) 0.0 else -values.sumOf { exp(it.toDouble()) * it } / values.size
}

/** P(best) / sum of P over the n-best label sequences: from 1/n to 1 (sure). */
fun confidence(logProbabilities: List<FloatArray>): Double {
    val scores = prefixBeamSearch(logProbabilities, NBEST, logProbabilities.size).map { it.logProbability }
    return exp(scores[0] - scores.reduce(::addedLogs))
}
