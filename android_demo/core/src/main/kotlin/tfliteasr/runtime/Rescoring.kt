package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * A hypothesis and what both passes say of it, in nats; of a second pass that decodes, in its subwords.
 *
 * @property bonus of hotwords, in nats, beside both.
 */
data class Candidate(val tokens: List<Int>, val first: Double, val second: Double, val bonus: Double = 0.0)

/**
 * How the passes' scores become one: weight * second + (1 - weight) * first (Sainath et al. 2019, arXiv 1908.10992, section
 * 2.2; of a CTC first pass and a decoder Watanabe et al. 2017, doi 10.1109/JSTSP.2017.2763455, equation 18).
 *
 * @property weight of the second pass, from 0 to 1; as `tflite-asr tune-rescoring` found it.
 * @property perLabel scores are divided by the number of labels and the end, so that long is not worse.
 * @property nbest how many candidates are looked at; null for all.
 */
data class Rescoring(val weight: Double = 0.3, val perLabel: Boolean = false, val nbest: Int? = null) {
    init {
        if (weight !in 0.0..1.0) throw InputError("rescoring: expected a weight of the second pass from 0 to 1, got $weight")
        if (nbest != null && nbest < 2) {
            throw InputError("rescoring: expected an n-best of 2 or more, got $nbest: there would be nothing to choose from")
        }
    }

    /** The scores of both passes and the bonus in one, in nats. */
    fun total(candidate: Candidate): Double =
        weight * candidate.second + (1 - weight) * candidate.first + candidate.bonus

    /** The score by which hypotheses are compared: the total, or the total by label. */
    fun score(candidate: Candidate): Double = total(candidate) / if (perLabel) candidate.tokens.size + 1 else 1

    /** The candidate of the highest score; null of none. */
    fun best(candidates: List<Candidate>): Candidate? = candidates.take(nbest ?: candidates.size).maxByOrNull(::score)

    companion object {
        /** Until it is tuned, a second pass that decodes decides alone, by log probability a token. */
        fun untuned(config: ModelConfig): Rescoring = if (config.decoder != null) Rescoring(1.0, perLabel = true) else Rescoring()

        /** What NAME.json says; fields that are not there have their defaults. */
        fun fromJson(values: JsonObject): Rescoring = Rescoring().let {
            Rescoring(
                if ("weight" in values) values.double("weight") else it.weight,
                if ("per_label" in values) values.boolean("per_label") else it.perLabel,
                if ("nbest" in values) values.int("nbest") else null,
            )
        }
    }
}
