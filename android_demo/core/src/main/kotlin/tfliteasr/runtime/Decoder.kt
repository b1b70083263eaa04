package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.ln1p
import tfliteasr.text.Walked

/**
 * A label sequence and log P(labels | frames), summed over the alignments that the beam kept.
 *
 * @property bonus of hotwords, in nats.
 */
class Hypothesis(val tokens: List<Int>, val logProbability: Double, val bonus: Double = 0.0) {
    /** What hypotheses are compared by, in nats. */
    val score: Double get() = logProbability + bonus
}

/** A hypothesis and the prediction network's state after it. */
internal class Open(
    val tokens: List<Int>,
    val logProbability: Double,
    val predicted: FloatArray, // [units of the joint network's input]
    val hidden: FloatArray, // [units]
    val cell: FloatArray, // [units]
    val walked: Walked, // of hotwords so far
) {
    val score: Double get() = logProbability + walked.bonus

    fun at(logProbability: Double) = Open(tokens, logProbability, predicted, hidden, cell, walked)
}

private class Extension(val hypothesis: Open, val label: Int, val logProbability: Double, val score: Double)

/**
 * Time-synchronous beam search (Graves 2012, algorithm 1, with a bound on labels a step) over the signatures `encode`,
 * `predict` and `join`. Equal label sequences are merged by adding their probabilities.
 *
 * @param hotwords whose bonus counts in what is kept, over the labels.
 */
class BeamSearch(
    private val model: SignatureModel,
    private val config: ModelConfig,
    private val hotwords: TokenBonus? = null,
) {
    private val sizes = config.sizes
    private val units = checkNotNull(config.prediction) { "a model without prediction network has no beam search of this kind" }

    /** The n-best, best first; n is at most the beam. */
    fun best(frames: Frames): List<Hypothesis> {
        val result = model.run("encode${sizes.suffix}", paddedFrames(frames, sizes.maxFrames, config.features.width))
        return bestOfEncoded(rows(result, "encoded"))
    }

    /** The same from the encoder's output, one row a step. */
    fun bestOfEncoded(encoded: List<FloatArray>): List<Hypothesis> =
        closed(encoded.fold(listOf(start())) { hypotheses, step -> advance(step, hypotheses) })

    /** The n-best of those that are open, best first; of hotwords that are unfinished the bonus is taken back. */
    internal fun closed(hypotheses: List<Open>): List<Hypothesis> = hypotheses
        .map { Hypothesis(it.tokens, it.logProbability, it.walked.bonus + (hotwords?.final(it.walked.state) ?: 0.0)) }
        .sortedByDescending { it.score }

    /**
     * Log probabilities of the next label at every node of the lattice of given [tokens]: at each step of the encoder's
     * output, behind none of them, one, and so on.
     */
    fun lattice(encoded: List<FloatArray>, tokens: IntArray): List<List<FloatArray>> {
        val hypotheses = tokens.fold(listOf(start())) { before, token -> before + extend(listOf(Extension(before.last(), token, 0.0, 0.0))) }
        return encoded.map { step -> hypotheses.chunked(sizes.beam).flatMap { join(step, it) } }
    }

    /** The hypothesis before an utterance, without labels. */
    internal fun start(): Open {
        val zeros = mapOf(
            "hidden" to Tensor.floats(sizes.beam, units.hiddenSize),
            "cell" to Tensor.floats(sizes.beam, units.cellSize),
        )
        val result = model.run("predict", zeros + ("tokens" to Tensor.ints(sizes.beam)))
        return opened(result, 0, emptyList(), 0.0, Walked(hotwords?.start ?: 0, 0.0))
    }

    /** One encoder step [units]: from each hypothesis labels until blank. */
    internal fun advance(encoded: FloatArray, before: List<Open>): List<Open> {
        var hypotheses = before
        val done = LinkedHashMap<List<Int>, Open>()
        for (emitted in 0..sizes.maxSymbolsPerStep) {
            val rows = join(encoded, hypotheses)
            for ((hypothesis, row) in hypotheses.zip(rows)) merge(done, hypothesis, hypothesis.logProbability + row[0])
            if (emitted == sizes.maxSymbolsPerStep) break
            val chosen = extensions(hypotheses, rows, floor(done))
            if (chosen.isEmpty()) break
            hypotheses = extend(chosen)
        }
        return done.values.sortedByDescending { it.score }.take(sizes.beam)
    }

    /** The score that a hypothesis must exceed to get into the beam: only then is it worth another label. */
    private fun floor(done: Map<List<Int>, Open>): Double =
        done.values.map { it.score }.sortedDescending().getOrElse(sizes.beam - 1) { Double.NEGATIVE_INFINITY }

    private fun extensions(hypotheses: List<Open>, rows: List<FloatArray>, floor: Double): List<Extension> {
        val all = ArrayList<Extension>()
        for ((hypothesis, row) in hypotheses.zip(rows)) {
            if (hypothesis.tokens.size >= sizes.maxTokens) continue
            val gains = hotwords?.gains(hypothesis.walked.state)
            for (label in 1 until row.size) {
                val logProbability = hypothesis.logProbability + row[label]
                val score = hypothesis.score + row[label] + (gains?.get(label) ?: 0.0)
                if (score > floor) all.add(Extension(hypothesis, label, logProbability, score))
            }
        }
        return all.sortedByDescending { it.score }.take(sizes.beam)
    }

    /** Log probabilities of the next label, [vocabulary] for each hypothesis. */
    private fun join(encoded: FloatArray, hypotheses: List<Open>): List<FloatArray> {
        val tiled = Tensor.floats(sizes.beam, encoded.size)
        repeat(sizes.beam) { tiled.put(it * encoded.size, encoded) }
        val width = hypotheses[0].predicted.size
        val predicted = Tensor.floats(sizes.beam, width)
        hypotheses.forEachIndexed { row, hypothesis -> predicted.put(row * width, hypothesis.predicted) }
        val result = model.run("join", mapOf("encoded" to tiled, "predicted" to predicted)).getValue("log_probabilities")
        return hypotheses.indices.map { row(result, it) }
    }

    /** Each hypothesis with one more label and the log probability given. */
    private fun extend(extensions: List<Extension>): List<Open> {
        val tokens = Tensor.ints(sizes.beam)
        val hidden = Tensor.floats(sizes.beam, units.hiddenSize)
        val cell = Tensor.floats(sizes.beam, units.cellSize)
        extensions.forEachIndexed { row, extension ->
            tokens.put(row, intArrayOf(extension.label))
            hidden.put(row * units.hiddenSize, extension.hypothesis.hidden)
            cell.put(row * units.cellSize, extension.hypothesis.cell)
        }
        val result = model.run("predict", mapOf("tokens" to tokens, "hidden" to hidden, "cell" to cell))
        return extensions.mapIndexed { row, it ->
            opened(result, row, it.hypothesis.tokens + it.label, it.logProbability, it.hypothesis.walked.on(hotwords, it.label))
        }
    }

    private fun opened(result: Map<String, Tensor>, row: Int, tokens: List<Int>, logProbability: Double, walked: Walked) = Open(
        tokens,
        logProbability,
        row(result.getValue("predicted"), row),
        row(result.getValue("hidden"), row),
        row(result.getValue("cell"), row),
        walked,
    )

    private fun row(tensor: Tensor, index: Int): FloatArray {
        val width = tensor.shape.last()
        return FloatArray(width).also { tensor.bytes().asFloatBuffer().apply { position(index * width) }.get(it) }
    }

    private fun merge(done: MutableMap<List<Int>, Open>, hypothesis: Open, score: Double) {
        val known = done[hypothesis.tokens]
        done[hypothesis.tokens] = hypothesis.at(if (known == null) score else addedLogs(known.logProbability, score))
    }
}

/** An output of the encoder for an utterance, one row a step, without the padding. */
internal fun rows(result: Map<String, Tensor>, output: String): List<FloatArray> {
    val values = result.getValue(output)
    return values.floats().asList().chunked(values.shape.last()) { it.toFloatArray() }
        .take(result.getValue("encoded_lengths").int(0))
}

/** The state and the bonus behind one more token; the same without hotwords. */
internal fun Walked.on(hotwords: TokenBonus?, token: Int): Walked =
    hotwords?.step(state, token)?.let { Walked(it.state, bonus + it.bonus) } ?: this

/** log(exp(a) + exp(b)) */
internal fun addedLogs(a: Double, b: Double): Double {
    val high = maxOf(a, b)
    return if (high == Double.NEGATIVE_INFINITY) high else high + ln1p(exp(minOf(a, b) - high))
}
