package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.fixed

/**
 * Two passes over an utterance: beam search over what the encoder puts out of it as it comes, and at its end the signature
 * `rescore` over the n-best.
 *
 * @param model of [artifact].
 * @param config its configuration, at the utterance's length.
 * @param hotwords whose bonus counts in the first pass and in what is chosen, over the labels.
 */
class TwoPasses(
    private val model: SignatureModel,
    artifact: Artifact,
    private val config: ModelConfig,
    hotwords: TokenBonus? = null,
) {
    private val signature = artifact.signatures["rescore${config.sizes.suffix}"]
        ?: throw InputError("${artifact.path}: expected a second pass over the n-best, got none; use stream or transcribeFrames")
    private val shape = signature.inputs.first { it.name == "encoded" }.shape // [1, steps, units]
    private val search = BeamSearch(model, config, hotwords)
    private var open = listOf(search.start())
    private val encoded = ArrayList<FloatArray>() // so far, [units] a step

    /**
     * Search on, over what `encode` gave for the whole utterance or `stream` for its next chunk. [InputError] for an utterance
     * that is longer than the second pass takes.
     */
    fun advance(result: Map<String, Tensor>) {
        val steps = rows(result, "encoded")
        if (encoded.size + steps.size > shape[1]) {
            val most = fixed(config.maxSeconds, 2)
            throw InputError("expected at most $most s for both passes, got more; cut it at pauses")
        }
        for (step in steps) {
            encoded.add(step)
            open = search.advance(step, open)
        }
    }

    /** Of the first pass so far, best first. */
    fun nbest(): List<Hypothesis> = search.closed(open)

    /** The n-best of the whole utterance, in the first pass's order, with what the second pass says of them. */
    fun candidates(): List<Candidate> {
        val hypotheses = nbest()
        val second = rescore(hypotheses)
        return hypotheses.mapIndexed { row, it -> Candidate(it.tokens, it.logProbability, second.float(row).toDouble(), it.bonus) }
    }

    /** Log probabilities of the hypotheses by the second pass, [beam]; the rows that are left over hold no labels. */
    private fun rescore(hypotheses: List<Hypothesis>): Tensor {
        val (beam, longest) = config.sizes.beam to config.sizes.maxTokens
        val steps = Tensor.floats(*shape.toIntArray())
        encoded.forEachIndexed { step, values -> steps.put(step * shape[2], values) }
        val (tokens, counts) = Tensor.ints(beam, longest) to Tensor.ints(beam)
        hypotheses.forEachIndexed { row, hypothesis ->
            tokens.put(row * longest, hypothesis.tokens.toIntArray())
            counts.put(row, intArrayOf(hypothesis.tokens.size))
        }
        val lengths = Tensor.ints(1).put(0, intArrayOf(encoded.size))
        val inputs = mapOf("encoded" to steps, "encoded_lengths" to lengths, "tokens" to tokens, "token_lengths" to counts)
        return model.run(signature.name, inputs).getValue("log_probabilities")
    }
}
