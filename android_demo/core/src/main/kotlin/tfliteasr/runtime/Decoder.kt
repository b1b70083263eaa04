package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.ln1p

/** A label sequence and log P(labels | frames), summed over the alignments that the beam kept. */
class Hypothesis(val tokens: List<Int>, val logProbability: Double)

/** A hypothesis and the prediction network's state after it. */
private class Open(
    val tokens: List<Int>,
    val logProbability: Double,
    val predicted: FloatArray, // [units of the joint network's input]
    val hidden: FloatArray, // [units]
    val cell: FloatArray, // [units]
) {
    fun at(logProbability: Double) = Open(tokens, logProbability, predicted, hidden, cell)
}

private class Extension(val hypothesis: Open, val label: Int, val score: Double)

/**
 * Time-synchronous beam search (Graves 2012, algorithm 1, with a bound on labels a step) over the signatures `encode`,
 * `predict` and `join`. Equal label sequences are merged by adding their probabilities.
 */
class BeamSearch(private val model: SignatureModel, private val config: ModelConfig) {
    private val sizes = config.sizes
    private val units = checkNotNull(config.prediction) { "a model without prediction network has no beam search of this kind" }

    /** The n-best, best first; n is at most the beam. */
    fun best(frames: Frames): List<Hypothesis> {
        val result = model.run("encode", paddedFrames(frames, sizes.maxFrames, config.features.width))
        val encoded = result.getValue("encoded")
        val steps = encoded.floats().asList().chunked(encoded.shape.last()) { it.toFloatArray() }
        return bestOfEncoded(steps.take(result.getValue("encoded_lengths").int(0)))
    }

    /** The same from the encoder's output, one row a step. */
    fun bestOfEncoded(encoded: List<FloatArray>): List<Hypothesis> {
        val kept = encoded.fold(listOf(start())) { hypotheses, step -> advance(step, hypotheses) }
        return kept.sortedByDescending { it.logProbability }.map { Hypothesis(it.tokens, it.logProbability) }
    }

    /** The prediction network before any label. */
    private fun start(): Open {
        val zeros = mapOf(
            "hidden" to Tensor.floats(sizes.beam, units.hiddenSize),
            "cell" to Tensor.floats(sizes.beam, units.cellSize),
        )
        val result = model.run("predict", zeros + ("tokens" to Tensor.ints(sizes.beam)))
        return opened(result, 0, emptyList(), 0.0)
    }

    /** One encoder step [units]: from each hypothesis labels until blank. */
    private fun advance(encoded: FloatArray, before: List<Open>): List<Open> {
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
        return done.values.sortedByDescending { it.logProbability }.take(sizes.beam)
    }

    /** The score that a hypothesis must exceed to get into the beam: only then is it worth another label. */
    private fun floor(done: Map<List<Int>, Open>): Double =
        done.values.map { it.logProbability }.sortedDescending().getOrElse(sizes.beam - 1) { Double.NEGATIVE_INFINITY }

    private fun extensions(hypotheses: List<Open>, rows: List<FloatArray>, floor: Double): List<Extension> {
        val all = ArrayList<Extension>()
        for ((hypothesis, row) in hypotheses.zip(rows)) {
            if (hypothesis.tokens.size >= sizes.maxTokens) continue
            for (label in 1 until row.size) {
                val score = hypothesis.logProbability + row[label]
                if (score > floor) all.add(Extension(hypothesis, label, score))
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

    /** Each hypothesis with one more label and the score given. */
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
        return extensions.mapIndexed { row, it -> opened(result, row, it.hypothesis.tokens + it.label, it.score) }
    }

    private fun opened(result: Map<String, Tensor>, row: Int, tokens: List<Int>, score: Double) = Open(
        tokens,
        score,
        row(result.getValue("predicted"), row),
        row(result.getValue("hidden"), row),
        row(result.getValue("cell"), row),
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

/** log(exp(a) + exp(b)) */
internal fun addedLogs(a: Double, b: Double): Double {
    val high = maxOf(a, b)
    return if (high == Double.NEGATIVE_INFINITY) high else high + ln1p(exp(minOf(a, b) - high))
}
