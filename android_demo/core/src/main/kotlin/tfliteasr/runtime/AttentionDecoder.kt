package tfliteasr.runtime

import java.util.PriorityQueue

/** Keys and values of the tokens so far, of each hypothesis: [layers, beam, heads, max_subwords, size] float32. */
private class Cache(private val shape: IntArray) {
    val tensors = listOf("keys", "values").associateWith { Tensor.floats(*shape) }
    private val hypothesis = shape[2] * shape[3] * shape[4] // values of one in a layer
    private val layer = shape[1] * hypothesis

    /** Let row i go on from what row rows[i] was. */
    fun take(rows: List<Int>) {
        if (rows == rows.indices.toList()) return
        for (tensor in tensors.values) {
            for (first in 0 until shape[0] * layer step layer) {
                val before = rows.map { tensor.floats(first + it * hypothesis, hypothesis) }
                before.forEachIndexed { row, values -> tensor.put(first + row * hypothesis, values) }
            }
        }
    }

    /** Keep what `decode_step` gave for the token at a position. */
    fun write(position: Int, result: Map<String, Tensor>) {
        val (longest, size) = shape[3] to shape[4]
        for ((name, tensor) in tensors) {
            val made = result.getValue(name) // [layers, beam, heads, 1, size]
            for (head in 0 until made.elements / size) {
                tensor.put((head * longest + position) * size, made.floats(head * size, size))
            }
        }
    }
}

/** One more token for the hypothesis of a row. */
private class Grown(val row: Int, val token: Int, val logProbability: Double, val bonus: Double) {
    val score: Double get() = logProbability + bonus
}

/**
 * The second pass that decodes by itself: beam search over the signatures `decode_start` and `decode_step`, one token a
 * call for all hypotheses.
 *
 * @param model of an artifact whose second pass decodes.
 * @param config its configuration, at the utterance's length; `sizes.beam` hypotheses are kept.
 * @param decoder the decoder's part of it.
 */
class AttentionDecoder(
    private val model: SignatureModel,
    private val config: ModelConfig,
    private val decoder: DecoderConfig,
) {
    private val beam = config.sizes.beam

    /**
     * The likeliest subword sequences, best first by log probability a token, the end included.
     *
     * @param encoded [1, time, units] float32, as `encode` puts it out.
     * @param steps of it that are the utterance's.
     * @param hotwords whose bonus counts at every step, over the decoder's tokens.
     * @return at most `sizes.beam` hypotheses, with log P(subwords, end | utterance), of an unfinished one without the
     *     end.
     */
    fun nbest(encoded: Tensor, steps: Int, hotwords: TokenBonus? = null): List<Hypothesis> {
        val lengths = mapOf("encoded_lengths" to Tensor.ints(1).put(0, intArrayOf(steps)))
        val given = model.run("decode_start${config.sizes.suffix}", lengths + ("encoded" to encoded)) + lengths
        val cache = Cache(intArrayOf(decoder.layers, beam, decoder.heads, config.maxSubwords, decoder.headSize))
        val tokens = Tensor.ints(beam).put(0, IntArray(beam) { decoder.start })
        var open = listOf(Hypothesis(emptyList(), 0.0))
        var states = listOf(hotwords?.start ?: 0) // of the open hypotheses
        val ended = ArrayList<Hypothesis>()
        for (position in 0 until config.mostSubwords(steps)) {
            val at = mapOf("tokens" to tokens, "position" to Tensor.ints(1).put(0, intArrayOf(position)))
            val result = model.run("decode_step${config.sizes.suffix}", given + at + cache.tensors)
            cache.write(position, result)
            val gains = hotwords?.let { states.map { state -> gains(it, state) } }
            val best = likeliest(open, result.getValue("log_probabilities"), gains)
            val ends = best.take(beam).filter { it.token == decoder.end }
            ends.mapTo(ended) { Hypothesis(open[it.row].tokens, it.logProbability, it.bonus) }
            val grown = best.filter { it.token != decoder.end }.take(beam)
            val next = grown.map { Hypothesis(open[it.row].tokens + it.token, it.logProbability, it.bonus) }
            if (next.isEmpty() || isSettled(ended, next)) break
            cache.take(grown.map { it.row })
            tokens.put(0, IntArray(next.size) { grown[it].token })
            open = next
            hotwords?.let { states = grown.map { one -> it.step(states[one.row], one.token).state } }
        }
        val unfinished = open.mapIndexed { row, it ->
            Hypothesis(it.tokens, it.logProbability, it.bonus + (hotwords?.final(states[row]) ?: 0.0))
        }
        return ended.ifEmpty { unfinished }.sortedByDescending { it.aToken }.take(beam)
    }

    /** The bonus for each next token behind a state, the end among them. */
    private fun gains(hotwords: TokenBonus, state: Int): DoubleArray =
        hotwords.gains(state).also { it[decoder.end] = hotwords.final(state) }

    /**
     * Log probabilities of the next subword before each of given [tokens], at most as many as the file takes.
     *
     * @param encoded [1, time, units] float32, as `encode` puts it out.
     * @param steps of it that are the utterance's.
     */
    fun distributions(encoded: Tensor, steps: Int, tokens: List<Int>): List<FloatArray> {
        val lengths = mapOf("encoded_lengths" to Tensor.ints(1).put(0, intArrayOf(steps)))
        val given = model.run("decode_start${config.sizes.suffix}", lengths + ("encoded" to encoded)) + lengths
        val cache = Cache(intArrayOf(decoder.layers, beam, decoder.heads, config.maxSubwords, decoder.headSize))
        return (listOf(decoder.start) + tokens).take(tokens.size).mapIndexed { position, before ->
            val row = Tensor.ints(beam).put(0, IntArray(beam) { before })
            val at = mapOf("tokens" to row, "position" to Tensor.ints(1).put(0, intArrayOf(position)))
            val result = model.run("decode_step${config.sizes.suffix}", given + at + cache.tensors)
            cache.write(position, result)
            result.getValue("log_probabilities").let { it.floats(0, it.shape.last()) }
        }
    }

    /** The best next tokens of all open hypotheses together, best first: as many as may grow, and each may end once. */
    private fun likeliest(open: List<Hypothesis>, logProbabilities: Tensor, gains: List<DoubleArray>?): List<Grown> {
        val (count, vocabulary) = beam + open.size to logProbabilities.shape.last()
        val kept = PriorityQueue<Grown>(count, compareBy { it.score }) // the worst of them in front
        open.forEachIndexed { row, hypothesis ->
            logProbabilities.floats(row * vocabulary, vocabulary).forEachIndexed { token, added ->
                val bonus = hypothesis.bonus + (gains?.get(row)?.get(token) ?: 0.0)
                val score = hypothesis.logProbability + added + bonus
                if (kept.size == count && score > kept.peek().score) kept.poll()
                if (kept.size < count) kept.add(Grown(row, token, hypothesis.logProbability + added, bonus))
            }
        }
        return kept.sortedByDescending { it.score }
    }

    /** Whether no open hypothesis is still likelier a token than the best that ended. */
    private fun isSettled(ended: List<Hypothesis>, open: List<Hypothesis>): Boolean =
        ended.isNotEmpty() && ended.maxOf { it.aToken } > open.maxOf { it.aToken }
}

/** Score a token, the end included. */
private val Hypothesis.aToken: Double get() = score / (tokens.size + 1)
