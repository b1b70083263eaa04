package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * A hypothesis of a second pass that decodes, in its subwords, and what both passes say of it, in nats.
 *
 * @property bonus of hotwords, in nats, beside both.
 */
data class Candidate(val tokens: List<Int>, val first: Double, val second: Double, val bonus: Double = 0.0)

/**
 * How the passes' scores become one: weight * second + (1 - weight) * first, a token (Watanabe et al. 2017, doi
 * 10.1109/JSTSP.2017.2763455, equation 18).
 *
 * @property weight of the second pass, from 0 to 1; as `tflite-asr tune-rescoring` found it, untuned 1.
 * @property nbest how many candidates are looked at; null for all.
 */
data class Rescoring(val weight: Double = 1.0, val nbest: Int? = null) {
    init {
        if (weight !in 0.0..1.0) throw InputError("rescoring: expected a weight of the second pass from 0 to 1, got $weight")
    }

    /** The candidate of the highest score; null of none. */
    fun best(candidates: List<Candidate>): Candidate? = candidates.take(nbest ?: candidates.size).maxByOrNull {
        (weight * it.second + (1 - weight) * it.first + it.bonus) / (it.tokens.size + 1)
    }

    companion object {
        /** What NAME.json says; fields that are not there have their defaults. */
        fun fromJson(values: JsonObject): Rescoring = Rescoring(
            if ("weight" in values) values.double("weight") else 1.0,
            if ("nbest" in values) values.int("nbest") else null,
        )
    }
}
