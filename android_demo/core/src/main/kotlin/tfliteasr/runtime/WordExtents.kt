package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min

/*
 * Words held against the level of the audio: they start and end where speech does, if there is a pause to be seen.
 *
 * A first pass says in which step it wrote a word, which is some time after the word was heard. Where the speech around that
 * step is set off by a pause, its edges are the word's; where words follow one another without a pause, the step's time stays.
 */

private const val BELOW_PEAK_DB = 20.0 // what is quieter than the word's loudest frame by more is not speech
private const val ABOVE_FLOOR_DB = 6.0 // nor is what is not louder than the noise by this
private const val AT_LEAST_BELOW_DB = 3.0 // in loud noise the loudest frames are still speech
private const val FLOOR_SHARE = 10 // the noise is as loud as the frame that one in so many is quieter than
private const val SMOOTHING_FRAMES = 3
private const val PAUSE_SECONDS = 0.1 // a closure within a word, as before the last sound of SIX, is shorter
private const val REACH_SECONDS = 0.5 // how far from the step's time an edge may be

/**
 * The words with their edges where speech begins and ends; as they are for a front end that tells no level.
 *
 * @param words in order, without overlaps.
 * @param samples that the frames were made of.
 */
internal fun fittedWords(words: List<Word>, frames: Frames, samples: Int, config: ModelConfig): List<Word> {
    val features = config.features as? FeatureConfig ?: return words
    val heard = min(features.framesOf(samples + config.edgeSamples), frames.length)
    val offset = (features.windowSamples / 2.0 - config.edgeSamples) / features.sampleRate // of the middle of a frame
    val hop = features.hopSamples.toDouble() / features.sampleRate
    return Extents(frameLevels(frames.first(heard), features), hop, offset).fitted(words)
}

/** Smoothed power of log-mel frames over all bands, in dB, one for each frame. */
internal fun frameLevels(frames: Frames, features: FeatureConfig): DoubleArray {
    val power = DoubleArray(frames.length) { frame ->
        var sum = 0.0
        for (band in 0 until frames.width) sum += exp(frames.at(frame, band).toDouble() * features.deviation + features.mean)
        sum
    }
    val around = SMOOTHING_FRAMES / 2
    return DoubleArray(power.size) { frame ->
        var sum = 0.0
        for (near in max(0, frame - around)..min(power.size - 1, frame + around)) sum += power[near]
        10 * log10(sum / SMOOTHING_FRAMES + 1e-9)
    }
}

/** [levels] in dB of frames that are [hop] seconds apart, the first of them at [offset]. */
private class Extents(private val levels: DoubleArray, private val hop: Double, private val offset: Double) {
    private val lastFrame = levels.size - 1
    private val pause = (PAUSE_SECONDS / hop).toInt()
    private val reach = (REACH_SECONDS / hop).toInt()
    private val floor = if (levels.isEmpty()) 0.0 else levels.sorted()[levels.size / FLOOR_SHARE]

    fun fitted(words: List<Word>): List<Word> {
        if (levels.isEmpty()) return words
        return inOrder(words.mapIndexed { index, word -> fitted(words.getOrNull(index - 1), word, words.getOrNull(index + 1)) })
    }

    private fun fitted(left: Word?, word: Word, right: Word?): Word {
        val (first, last) = frameAt(word.startSeconds) to frameAt(word.endSeconds)
        val before = if (left == null) 0 else frameAt(left.endSeconds)
        val behind = if (right == null) lastFrame else frameAt(right.startSeconds)
        val peak = (first..last).maxOf { levels[it] }
        val threshold = max(peak - BELOW_PEAK_DB, min(floor + ABOVE_FLOOR_DB, peak - AT_LEAST_BELOW_DB))
        val core = (first..last).filter { levels[it] >= threshold }
        val start = edge(threshold, core.first(), max(min(before, first), first - reach), -1)
        val end = edge(threshold, core.last(), min(max(behind, last), last + reach), 1)
        val startSeconds = if (start == null) word.startSeconds else max(start * hop + offset, 0.0)
        val endSeconds = if (end == null) word.endSeconds else end * hop + offset
        return if (startSeconds < endSeconds) word.copy(startSeconds = startSeconds, endSeconds = endSeconds) else word
    }

    private fun frameAt(seconds: Double): Int = ((seconds - offset) / hop).toInt().coerceIn(0, lastFrame)

    /**
     * The last frame of speech from [from] on, before a pause or an end of the audio; null where speech goes on to the [limit].
     */
    private fun edge(threshold: Double, from: Int, limit: Int, step: Int): Int? {
        var (frame, last, quiet) = Triple(from, from, 0)
        while (frame != limit) {
            frame += step
            val speech = levels[frame] >= threshold
            quiet = if (speech) 0 else quiet + 1
            if (speech) last = frame
            if (quiet > pause) return last
        }
        return if (limit == 0 || limit == lastFrame) last else null
    }

    /** Words that overlap meet in the middle of what both would have. */
    private fun inOrder(words: List<Word>): List<Word> {
        val ordered = words.toMutableList()
        for (index in 1 until ordered.size) {
            val (left, right) = ordered[index - 1] to ordered[index]
            if (right.startSeconds < left.endSeconds) {
                val middle = min(max((right.startSeconds + left.endSeconds) / 2, left.startSeconds), right.endSeconds)
                ordered[index - 1] = left.copy(endSeconds = middle)
                ordered[index] = right.copy(startSeconds = middle)
            }
        }
        return ordered
    }
}
