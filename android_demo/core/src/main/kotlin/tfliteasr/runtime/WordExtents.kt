package tfliteasr.runtime

import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min
import kotlin.math.roundToInt

/*
 * Words held against the level of the audio: they start and end where speech does, if there is a pause to be seen.
 *
 * A first pass says in which step it wrote a word, which is some time after the word was heard. Where the speech around that
 * step is set off by a pause, its edges are the word's; where words follow one another without a pause, the step's time stays.
 * The level is that of the samples: log-mel frames may end at 3.8 kHz, below the power of an S.
 */

private const val STEP_SECONDS = 0.01 // a level is measured for each
private const val SMOOTHING_STEPS = 3 // over which power is averaged
private const val BELOW_PEAK_DB = 20.0 // what is quieter than the word's loudest step by more is not speech
private const val ABOVE_FLOOR_DB = 6.0 // nor is what is not louder than the noise by this
private const val AT_LEAST_BELOW_DB = 3.0 // in loud noise the loudest steps are still speech
private const val FLOOR_SHARE = 10 // the noise is as loud as the step that one in so many is quieter than
private const val PAUSE_BEFORE_SECONDS = 0.1 // in front of a word
private const val PAUSE_BEHIND_SECONDS = 0.2 // behind a word: a closure within one, as before the last sounds of SIX and LEFT, is shorter
private const val REACH_SECONDS = 0.7 // how far from the model's time the edge, with the pause behind it, may be

/**
 * The words with their edges where speech begins and ends.
 *
 * @param words in order, without overlaps.
 * @param samples the utterance.
 */
internal fun fittedWords(words: List<Word>, samples: FloatArray, sampleRate: Int): List<Word> =
    Extents(stepLevels(samples, sampleRate)).fitted(words)

/** Smoothed power of each whole step of 10 ms, in dB of full scale. */
internal fun stepLevels(samples: FloatArray, sampleRate: Int): DoubleArray {
    val step = (STEP_SECONDS * sampleRate).roundToInt()
    val power = DoubleArray(samples.size / step) { at ->
        (at * step until (at + 1) * step).sumOf { samples[it].toDouble() * samples[it] } / step
    }
    val around = SMOOTHING_STEPS / 2
    return DoubleArray(power.size) { at ->
        val near = max(0, at - around)..min(power.size - 1, at + around)
        10 * log10(near.sumOf { power[it] } / SMOOTHING_STEPS + 1e-9)
    }
}

/** [levels] in dB of each step, which stands for its middle. */
private class Extents(private val levels: DoubleArray) {
    private val lastStep = levels.size - 1
    private val reach = (REACH_SECONDS / STEP_SECONDS).toInt()
    private val floor = if (levels.isEmpty()) 0.0 else levels.sorted()[levels.size / FLOOR_SHARE]

    fun fitted(words: List<Word>): List<Word> {
        if (levels.isEmpty()) return words
        return inOrder(words.mapIndexed { index, word -> fitted(words.getOrNull(index - 1), word, words.getOrNull(index + 1)) })
    }

    private fun fitted(left: Word?, word: Word, right: Word?): Word {
        val (first, last) = stepAt(word.startSeconds) to stepAt(word.endSeconds)
        val before = if (left == null) 0 else stepAt(left.endSeconds)
        val behind = if (right == null) lastStep else stepAt(right.startSeconds)
        val peak = (first..last).maxOf { levels[it] }
        val threshold = max(peak - BELOW_PEAK_DB, min(floor + ABOVE_FLOOR_DB, peak - AT_LEAST_BELOW_DB))
        val core = (first..last).filter { levels[it] >= threshold }
        val start = edge(threshold, core.first(), max(min(before, first), first - reach), -1, PAUSE_BEFORE_SECONDS)
        val end = edge(threshold, core.last(), min(max(behind, last), last + reach), 1, PAUSE_BEHIND_SECONDS)
        val startSeconds = if (start == null) word.startSeconds else secondsOf(start)
        val endSeconds = if (end == null) word.endSeconds else secondsOf(end)
        return if (startSeconds < endSeconds) word.copy(startSeconds = startSeconds, endSeconds = endSeconds) else word
    }

    private fun stepAt(seconds: Double): Int = ((seconds - STEP_SECONDS / 2) / STEP_SECONDS).toInt().coerceIn(0, lastStep)

    private fun secondsOf(step: Int): Double = step * STEP_SECONDS + STEP_SECONDS / 2

    /**
     * The last step of speech from [from] on, before a [pause] in seconds or an end of the audio; null where speech goes on to
     * the [limit].
     */
    private fun edge(threshold: Double, from: Int, limit: Int, direction: Int, pause: Double): Int? {
        var (at, last, quiet) = Triple(from, from, 0)
        while (at != limit) {
            at += direction
            val speech = levels[at] >= threshold
            quiet = if (speech) 0 else quiet + 1
            if (speech) last = at
            if (quiet > (pause / STEP_SECONDS).toInt()) return last
        }
        return if (limit == 0 || limit == lastStep) last else null
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
