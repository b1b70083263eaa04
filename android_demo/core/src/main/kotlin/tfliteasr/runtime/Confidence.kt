package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.pow
import tfliteasr.InputError

private const val TSALLIS_ORDER = 1.0 / 3 // alpha; below 1 it makes more of what is unlikely

/**
 * From distributions over tokens to the confidence of a word, 0 to 1 (Laptev and Ginsburg 2022, arXiv 2212.08703; the
 * temperature of Guo et al. 2017, arXiv 1706.04599).
 *
 * @property measure of one token: posterior, its probability; gibbs or tsallis, how little entropy its distribution has.
 * @property over of a word: the min, mean or product of its tokens.
 * @property temperature p^(1 / temperature), normalized: above 1 less sure.
 */
data class ConfidenceMeasure(
    val measure: String = "posterior",
    val over: String = "min",
    val temperature: Double = 1.0,
) {
    init {
        if (measure !in setOf("posterior", "gibbs", "tsallis") || over !in setOf("min", "mean", "product")) {
            throw InputError("confidence: expected posterior, gibbs or tsallis over min, mean or product, got $measure over $over")
        }
        if (temperature !in 0.01..100.0) throw InputError("confidence: expected a temperature from 0.01 to 100, got $temperature")
    }

    /** The confidence of a word, of normalized log probabilities where each of its [tokens], at least one, was written. */
    fun of(logProbabilities: List<DoubleArray>, tokens: List<Int>): Double {
        val scores = logProbabilities.zip(tokens) { row, token -> score(tempered(row, temperature), token) }
        val word = when (over) {
            "min" -> scores.min()
            "mean" -> scores.average()
            else -> scores.reduce(Double::times)
        }
        return word.coerceIn(0.0, 1.0)
    }

    private fun score(row: DoubleArray, token: Int): Double = when (measure) {
        "posterior" -> exp(row[token])
        "gibbs" -> 1 + row.sumOf { exp(it) * it } / ln(row.size.toDouble())
        else -> 1 - (row.sumOf { exp(TSALLIS_ORDER * it) } - 1) / (row.size.toDouble().pow(1 - TSALLIS_ORDER) - 1)
    }
}

/** Log of p^(1 / temperature), normalized. */
fun tempered(logProbabilities: DoubleArray, temperature: Double): DoubleArray {
    val highest = logProbabilities.max()
    val scaled = DoubleArray(logProbabilities.size) { (logProbabilities[it] - highest) / temperature }
    val total = ln(scaled.sumOf(::exp))
    return DoubleArray(scaled.size) { scaled[it] - total }
}
