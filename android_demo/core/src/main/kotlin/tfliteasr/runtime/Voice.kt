package tfliteasr.runtime

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.sqrt
import tfliteasr.InputError
import tfliteasr.JsonObject

/*
 * Whose voice it is: speaker verification with Gaussian mixtures (Reynolds, Quatieri and Dunn 2000).
 *
 * What a phone learns from its owner helps the owner; on other voices the shipped weights are better. A mixture of many
 * voices, the background, comes with the artifact; the owner's is the same mixture with its means moved towards the
 * owner's speech. An utterance is the owner's when its frames are on average more likely under the owner's mixture by more
 * than a threshold:
 *
 *     score(X) = 1/T sum_t log p(x_t | owner) - log p(x_t | background)
 *
 * x_t are the cepstra of log-mel frames, or principal components of a waveform stem's frames.
 */

const val CEPSTRA = 24 // of the log-mel frames: vocal tract and microphone, hardly any pitch
private const val RELEVANCE = 8.0 // frames of a component before its mean moves half of the way
private const val FOLDS = 5 // of the owner's utterances, to score each with a mixture that has not seen it
private const val LEAST_UTTERANCES = 5 // fewer say too little of a voice

/** Rows of those frames that are likely speech: above the middle between the quietest tenth and the loudest. */
fun loudFrames(frames: Frames): List<FloatArray> {
    val rows = frames.values.asList().chunked(frames.width) { it.toFloatArray() }
    val levels = rows.map { it.average() }
    val middle = (levels.max() + quietestTenth(levels.sorted())) / 2
    return rows.filterIndexed { index, _ -> levels[index] >= middle }
}

/** The 10th percentile, linear between the two values about it. */
private fun quietestTenth(sorted: List<Double>): Double {
    val at = 0.1 * sorted.lastIndex
    val below = at.toInt()
    val above = minOf(below + 1, sorted.lastIndex)
    return sorted[below] + (sorted[above] - sorted[below]) * (at - below)
}

/** Log-mel frames -> rows of [CEPSTRA] values of the louder ones, cosine transformed (DCT-II). */
fun cepstra(frames: Frames): List<DoubleArray> {
    val bands = frames.width
    val scale = sqrt(2.0 / bands)
    val basis = Array(minOf(CEPSTRA, bands)) { k -> DoubleArray(bands) { cos(PI / bands * (it + 0.5) * k) * scale } }
    return loudFrames(frames).map { row -> DoubleArray(basis.size) { k -> row.indices.sumOf { row[it] * basis[k][it] } } }
}

/**
 * Frames to fewer values: (frame - center) matrix.
 *
 * @property matrix [center.size] rows of [width] values, one after the other.
 */
class Projection(val center: FloatArray, val matrix: FloatArray) {
    val width: Int = matrix.size / center.size

    fun of(frames: Frames): List<DoubleArray> = (0 until frames.values.size / frames.width).map { row ->
        val values = DoubleArray(width)
        for (index in center.indices) {
            val apart = (frames.values[row * frames.width + index] - center[index]).toDouble()
            for (k in 0 until width) values[k] += apart * matrix[index * width + k]
        }
        values
    }
}

/**
 * Gaussian components with diagonal covariances.
 *
 * @property weights of each component.
 * @property means of each component one after the other, as many values as there are cepstra.
 * @property variances the same.
 * @property projection of a stem's frames; null for cepstra of log-mel frames.
 */
class Mixture(
    val weights: FloatArray,
    val means: FloatArray,
    val variances: FloatArray,
    val projection: Projection? = null,
) {
    val components: Int get() = weights.size
    val width: Int = means.size / weights.size

    // log of weight and of the density's factor
    private val constants = DoubleArray(components) { k ->
        ln(weights[k].toDouble()) - 0.5 * (0 until width).sumOf { ln(2 * PI * variances[k * width + it]) }
    }

    /** What is modelled of an utterance's frames. */
    fun observations(frames: Frames): List<DoubleArray> = projection?.of(frames) ?: cepstra(frames)

    /** Log of weight times density of each component. */
    fun logComponents(x: DoubleArray): DoubleArray = DoubleArray(components) { k ->
        var distance = 0.0
        for (index in 0 until width) {
            val apart = x[index] - means[k * width + index]
            distance += apart * apart / variances[k * width + index]
        }
        constants[k] - 0.5 * distance
    }

    /** Mean over the frames, in nats. */
    fun logLikelihood(x: List<DoubleArray>): Double = x.sumOf { logSum(logComponents(it)) } / x.size

    /** The same with means moved towards the frames: equations 11 to 14 of the paper, means only. */
    fun adapted(x: List<DoubleArray>): Mixture {
        val counts = DoubleArray(components)
        val sums = DoubleArray(means.size)
        for (row in x) {
            val logs = logComponents(row)
            val whole = logSum(logs)
            for (k in 0 until components) {
                val share = exp(logs[k] - whole)
                counts[k] += share
                for (index in 0 until width) sums[k * width + index] += share * row[index]
            }
        }
        val moved = FloatArray(means.size) { ((sums[it] + RELEVANCE * means[it]) / (counts[it / width] + RELEVANCE)).toFloat() }
        return withMeans(moved)
    }

    fun withMeans(moved: FloatArray) = Mixture(weights, moved, variances, projection)

    companion object {
        fun fromJson(values: JsonObject): Mixture {
            val weights = values.numbers("weights")
            val means = values.matrix("means")
            val variances = values.matrix("variances")
            for (rows in listOf(means, variances)) {
                if (rows.size != weights.size || rows.any { it.size != means[0].size }) {
                    throw InputError("${values.place}: expected means and variances of ${weights.size} components; export again")
                }
            }
            return Mixture(floats(weights), flat(means), flat(variances), projection(values, means[0].size))
        }

        private fun projection(values: JsonObject, width: Int): Projection? {
            if ("projection" !in values) return null
            val found = values.at("projection")
            val center = found.numbers("center")
            val rows = found.matrix("matrix")
            if (rows.size != center.size || rows.any { it.size != width }) {
                throw InputError("${found.place}: expected a projection of ${center.size} to $width values; export again")
            }
            return Projection(floats(center), flat(rows))
        }

        private fun floats(values: List<Double>) = values.map { it.toFloat() }.toFloatArray()

        private fun flat(rows: List<List<Double>>) = floats(rows.flatten())

        /** log sum exp */
        private fun logSum(logs: DoubleArray): Double = logs.max().let { most -> most + ln(logs.sumOf { exp(it - most) }) }
    }
}

/**
 * What tells the owner from others.
 *
 * @property threshold nats a frame.
 */
class OwnerVoice(val background: Mixture, val owner: Mixture, val threshold: Float) {
    /** Of an utterance's frames, in nats a frame; above the threshold it is the owner. */
    fun score(frames: Frames): Double = background.observations(frames).let { owner.logLikelihood(it) - background.logLikelihood(it) }

    fun speaks(frames: Frames): Boolean = score(frames) > threshold
}

/**
 * The owner's voice from the frames of each utterance.
 *
 * The threshold is halfway between 0, where owner and background are as likely, and what the owner scores on utterances that
 * were held out. Null when there are too few utterances, or the voice is not told from others.
 */
fun learnOwner(background: Mixture, utterances: List<Frames>): OwnerVoice? {
    if (utterances.size < LEAST_UTTERANCES) return null
    val frames = utterances.map(background::observations)
    val scores = (0 until FOLDS).flatMap { fold ->
        val (held, others) = frames.withIndex().partition { it.index % FOLDS == fold }
        val owner = background.adapted(others.flatMap { it.value })
        held.map { owner.logLikelihood(it.value) - background.logLikelihood(it.value) }
    }
    val threshold = (0.5 * median(scores)).toFloat()
    return if (threshold <= 0) null else OwnerVoice(background, background.adapted(frames.flatten()), threshold)
}

private fun median(values: List<Double>): Double {
    val sorted = values.sorted()
    return (sorted[sorted.lastIndex / 2] + sorted[sorted.size / 2]) / 2
}
