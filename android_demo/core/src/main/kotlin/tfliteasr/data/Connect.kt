package tfliteasr.data

import kotlin.random.Random
import tfliteasr.InputError

/** Utterances that are heard as one, the gaps between them silent; one gap fewer than there are parts. */
class Clip(val parts: List<Utterance>, val gapsSeconds: List<Double> = emptyList()) {
    val text: String get() = parts.joinToString(" ") { it.text }
    val where: String get() = parts.joinToString { it.where }
}

private const val SHORTEST_GAP_SECONDS = 0.05
private const val LONGEST_GAP_SECONDS = 0.25

/**
 * Join one person's utterances, in a shuffled order, into clips; each utterance is in exactly one.
 *
 * @param upTo most utterances of a clip; their number is drawn uniformly from 1 to this. With 1 every utterance is its own
 *     clip, in the order given.
 * @param fits whether a clip of several utterances is short enough.
 */
fun connect(utterances: List<Utterance>, upTo: Int, random: Random, fits: (Clip) -> Boolean): List<Clip> {
    if (upTo < 1) throw InputError("connect: expected to join up to 1 or more utterances, got $upTo")
    if (upTo == 1) return utterances.map { Clip(listOf(it)) }
    val clips = ArrayList<Clip>()
    var wanted = 0 // utterances that the last clip is to have
    for (utterance in utterances.shuffled(random)) {
        val last = clips.lastOrNull()
        if (last != null && last.parts.size < wanted) {
            val gap = random.nextDouble(SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS)
            val longer = Clip(last.parts + utterance, last.gapsSeconds + gap)
            if (fits(longer)) {
                clips[clips.lastIndex] = longer
                continue
            }
        }
        clips.add(Clip(listOf(utterance)))
        wanted = random.nextInt(1, upTo + 1)
    }
    return clips
}
