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

/** One more token for the hypothesis of a row, with its score before the first pass scores it. */
private class Grown(val row: Int, val token: Int, val second: Double, val bonus: Double, val score: Double)

/** Times the beam: next tokens that the first pass scores. */
private const val PRE_BEAM = 3

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
     * The best subword sequences, by the scores of both passes together. The likeliest next tokens by the decoder are found
     * first. The first pass scores those alone, and the sum decides which of them are kept (Watanabe et al. 2017, doi
     * 10.1109/JSTSP.2017.2763455, section IV-B).
     *
     * @param encoded [1, time, units] float32, as `encode` puts it out.
     * @param steps of it that are the utterance's.
     * @param rescoring how the scores of the passes become one.
     * @param first scores by the first pass; with a weight of 1 for the decoder the search does not use them.
     * @param hotwords whose bonus counts at every step, over the decoder's tokens.
     * @return at most `sizes.beam` hypotheses, best first. Their `second` is log P(subwords, end | utterance), of an unfinished
     *     one without the end.
     */
    fun nbest(
        encoded: Tensor,
        steps: Int,
        rescoring: Rescoring,
        first: FirstPassScores,
        hotwords: TokenBonus? = null,
    ): List<Candidate> {
        val given = start(encoded, steps)
        val cache = emptyCache()
        val tokens = Tensor.ints(beam).put(0, IntArray(beam) { decoder.start })
        var open = listOf(Candidate(emptyList(), 0.0, 0.0))
        var states = listOf(hotwords?.start ?: 0) // of the open hypotheses
        val ended = ArrayList<Candidate>()
        for (position in 0 until config.mostSubwords(steps)) {
            val logProbabilities = step(given, cache, position, tokens)
            val gains = hotwords?.let { states.map { state -> gains(it, state) } }
            val tried = likeliest(open, logProbabilities, gains, rescoring.weight).map {
                val said = open[it.row].tokens
                it to if (it.token == decoder.end) {
                    Candidate(said, first.whole(said), it.second, it.bonus)
                } else {
                    val longer = said + it.token
                    Candidate(longer, if (rescoring.weight < 1) first.prefix(longer) else 0.0, it.second, it.bonus)
                }
            }.sortedByDescending { (_, candidate) -> rescoring.total(candidate) }
            ended += tried.take(beam).filter { (one, _) -> one.token == decoder.end }.map { (_, candidate) -> candidate }
            val grown = tried.filter { (one, _) -> one.token != decoder.end }.take(beam)
            val next = grown.map { (_, candidate) -> candidate }
            if (next.isEmpty() || isSettled(ended, next, rescoring)) break
            cache.take(grown.map { (one, _) -> one.row })
            if (rescoring.weight < 1) first.keep(next.map { it.tokens })
            tokens.put(0, IntArray(next.size) { next[it].tokens.last() })
            open = next
            hotwords?.let { states = grown.map { (one, _) -> it.step(states[one.row], one.token).state } }
        }
        val unfinished = open.mapIndexed { row, it ->
            it.copy(first = first.whole(it.tokens), bonus = it.bonus + (hotwords?.final(states[row]) ?: 0.0))
        }
        return ended.ifEmpty { unfinished }.sortedByDescending(rescoring::score).take(beam)
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
        val given = start(encoded, steps)
        val cache = emptyCache()
        return (listOf(decoder.start) + tokens).take(tokens.size).mapIndexed { position, before ->
            val row = Tensor.ints(beam).put(0, IntArray(beam) { before })
            step(given, cache, position, row).let { it.floats(0, it.shape.last()) }
        }
    }

    /** What every step of an utterance is given. */
    private fun start(encoded: Tensor, steps: Int): Map<String, Tensor> {
        val lengths = mapOf("encoded_lengths" to Tensor.ints(1).put(0, intArrayOf(steps)))
        return model.run("decode_start${config.sizes.suffix}", lengths + ("encoded" to encoded)) + lengths
    }

    private fun emptyCache() = Cache(intArrayOf(decoder.layers, beam, decoder.heads, config.maxSubwords, decoder.headSize))

    /** Log probabilities [beam, vocabulary] of what follows the tokens [beam] at a position. */
    private fun step(given: Map<String, Tensor>, cache: Cache, position: Int, tokens: Tensor): Tensor {
        val at = mapOf("tokens" to tokens, "position" to Tensor.ints(1).put(0, intArrayOf(position)))
        val result = model.run("decode_step${config.sizes.suffix}", given + at + cache.tensors)
        cache.write(position, result)
        return result.getValue("log_probabilities")
    }

    /** The best next tokens of all open hypotheses together, best first. */
    private fun likeliest(
        open: List<Candidate>,
        logProbabilities: Tensor,
        gains: List<DoubleArray>?,
        weight: Double,
    ): List<Grown> {
        val (count, vocabulary) = PRE_BEAM * beam + open.size to logProbabilities.shape.last()
        val kept = PriorityQueue<Grown>(count, compareBy { it.score }) // the worst of them in front
        open.forEachIndexed { row, hypothesis ->
            val before = (1 - weight) * hypothesis.first
            logProbabilities.floats(row * vocabulary, vocabulary).forEachIndexed { token, added ->
                val bonus = hypothesis.bonus + (gains?.get(row)?.get(token) ?: 0.0)
                val second = hypothesis.second + added
                val score = weight * second + before + bonus
                if (kept.size == count && score > kept.peek().score) kept.poll()
                if (kept.size < count) kept.add(Grown(row, token, second, bonus, score))
            }
        }
        return kept.sortedByDescending { it.score }
    }

    /** Whether the best that ended is better than every open hypothesis, whose log probability can only fall. */
    private fun isSettled(ended: List<Candidate>, open: List<Candidate>, rescoring: Rescoring): Boolean =
        ended.isNotEmpty() && ended.maxOf(rescoring::score) > open.maxOf(rescoring::score)
}
