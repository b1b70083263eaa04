package tfliteasr.runtime

import tfliteasr.data.inTime
import tfliteasr.data.movedBands

/*
 * Views of an utterance of the owner, and the likeliest hypothesis over them.
 *
 * Weights that were trained on few recordings know the owner at few speeds, which shows as a low probability of what is
 * recognised. Another view of the utterance may then have a likelier hypothesis.
 */

private val FACTORS = listOf(0.9, 1.11) // of speed, and of frequency
private const val SURE = -0.1 // the log probability of a hypothesis after which no other view is searched

/**
 * An utterance as it is, then as if it was spoken slower and faster, then, of log-mel bands, as if by a longer and a shorter vocal
 * tract. Those that are too long for the model are left out.
 */
fun views(frames: Frames, config: ModelConfig): Sequence<Frames> = sequence {
    yield(frames)
    for (factor in FACTORS) inTime(frames, factor).let { if (it.length <= config.sizes.maxFrames) yield(it) }
    val features = config.features
    if (features is FeatureConfig) for (factor in FACTORS) yield(movedBands(frames, factor, features))
}

/**
 * The likeliest of the hypotheses for an utterance's views, with the bonuses of hotwords; none is taken after one whose log
 * probability is at least [SURE].
 */
fun likeliest(hypotheses: Sequence<Hypothesis>): Hypothesis {
    val found = mutableListOf<Hypothesis>()
    for (hypothesis in hypotheses) {
        found += hypothesis
        if (hypothesis.logProbability >= SURE) break
    }
    return found.maxBy { it.score }
}
