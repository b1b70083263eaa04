package tfliteasr.data

import java.io.File
import java.util.zip.CRC32
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.text.folded

/** Utterances that are heard as one, the gaps between them silent; one gap fewer than there are parts. */
class Clip(val parts: List<Utterance>, val gapsSeconds: List<Double> = emptyList()) {
    /** What is said, its runs of white space folded to one space. */
    val text: String get() = folded(parts.joinToString(" ") { it.text })
    val where: String get() = parts.joinToString { it.where }
}

private const val SHORTEST_GAP_SECONDS = 0.05
private const val LONGEST_GAP_SECONDS = 0.25

/**
 * Join the utterances of each speaker, in a shuffled order, into clips; each utterance is in exactly one.
 *
 * Speakers come in the order of their first utterance; utterances without a speaker count as one speaker a manifest folder.
 *
 * @param upTo most utterances of a clip; their number is drawn uniformly from 1 to this. With 1 every utterance is its own
 *     clip, in the order given.
 * @param seed of the order, the numbers and the gaps.
 * @param fits whether a clip of several utterances is short enough.
 */
fun connect(utterances: List<Utterance>, upTo: Int, seed: Int, fits: (Clip) -> Boolean): List<Clip> {
    if (upTo < 1) throw InputError("connect: expected to join up to 1 or more utterances, got $upTo")
    if (upTo == 1) return utterances.map { Clip(listOf(it)) }
    return utterances.groupBy(::voice).flatMap { (voice, group) ->
        val random = Generator(seed.toLong(), CRC32().apply { update(voice.toByteArray()) }.value)
        strings(random.permutation(group.size).map(group::get), upTo, random, fits)
    }
}

/** Equal for utterances that may be joined. */
private fun voice(utterance: Utterance): String =
    utterance.speaker?.let { "speaker $it" } ?: "folder ${File(utterance.where.substringBeforeLast(':')).parent ?: "."}"

private fun strings(utterances: List<Utterance>, upTo: Int, random: Generator, fits: (Clip) -> Boolean): List<Clip> {
    val clips = ArrayList<Clip>()
    var wanted = 0 // utterances that the last clip is to have
    for (utterance in utterances) {
        val last = clips.lastOrNull()
        if (last != null && last.parts.size < wanted) {
            val gap = random.uniform(SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS)
            val longer = Clip(last.parts + utterance, last.gapsSeconds + gap)
            if (fits(longer)) {
                clips[clips.lastIndex] = longer
                continue
            }
        }
        clips.add(Clip(listOf(utterance)))
        wanted = random.integers(1, upTo)
    }
    return clips
}
