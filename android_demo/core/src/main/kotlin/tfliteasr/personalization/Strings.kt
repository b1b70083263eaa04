package tfliteasr.personalization

import tfliteasr.Generator
import tfliteasr.data.alignmentProblem
import tfliteasr.data.joined
import tfliteasr.data.repeated
import tfliteasr.data.silentFrame
import tfliteasr.data.varyFrames
import tfliteasr.data.withoutTail
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer

private const val SHORTEST_GAP_SECONDS = 0.05 // between two utterances, as `connect` draws it
private const val LONGEST_GAP_SECONDS = 0.25
private const val ROOM = 0.75 // of the model's longest utterance: a string of several leaves room for slower speech and pauses

/**
 * Training strings from utterances that are kept as features: joined, varied, with the silence a recogniser expects.
 *
 * @param recognizer whose sizes and tokens they are made for.
 * @param connect most utterances of one string.
 * @param augment speed, level, silence, noise.
 */
class Strings(recognizer: Recognizer, private val connect: Int, private val augment: Boolean) {
    private val config = recognizer.config
    private val tokenizer = recognizer.labels
    private val shortestGap = frames(SHORTEST_GAP_SECONDS)
    private val longestGap = frames(LONGEST_GAP_SECONDS)

    private fun frames(seconds: Double): Int =
        Math.rint(seconds * config.features.sampleRate / config.features.hopSamples).toInt()

    /** Pass after pass over the utterances, each in one string a pass, the strings drawn anew. */
    fun endless(numbers: List<Int>, read: (Int) -> Example, random: Generator): Iterator<List<Example>> =
        generateSequence { onePass(numbers, read, random) }.flatten().iterator()

    /** Every utterance once as it was recorded and, where training varies its own, in varied copies. */
    fun validation(numbers: List<Int>, read: (Int) -> Example, random: Generator): List<Example> {
        val plain = onePass(numbers, read, random).map { example(it, null) }.toList()
        if (!augment) return plain
        return plain + (1 until validationCopies(numbers.size)).flatMap {
            onePass(numbers, read, random).map { parts -> example(parts, random) }.toList()
        }
    }

    /** One string; varied by [random], as it is without. */
    fun example(parts: List<Example>, random: Generator?): Example {
        val (features, most) = config.features to config.sizes.maxFrames
        val draw = random ?: Generator(parts.size.toLong())
        val gaps = List(parts.size - 1) { draw.integers(shortestGap, longestGap) }
        var frames = joined(parts.map { withoutTail(it.frames, config) }, gaps, features)
        val text = parts.joinToString(" ") { it.text }
        val tokens = tokenizer.encode(text)
        if (random != null && augment) {
            varyFrames(frames, features, random).let { if (it.length <= most && aligned(tokens, it.length)) frames = it }
        }
        val tail = minOf(config.tailFrames, most - frames.length)
        return Example(
            Frames(frames.values + repeated(silentFrame(frames, features), tail), features.width),
            tokens,
            text,
            parts.joinToString { it.where },
        )
    }

    private fun onePass(numbers: List<Int>, read: (Int) -> Example, random: Generator): Sequence<List<Example>> = sequence {
        var parts = emptyList<Example>()
        var wanted = 0
        for (index in random.permutation(numbers.size)) {
            val part = read(numbers[index])
            if (parts.isNotEmpty() && (parts.size == wanted || !fits(parts + part))) {
                yield(parts)
                parts = emptyList()
            }
            if (parts.isEmpty()) wanted = random.integers(1, connect)
            parts = parts + part
        }
        yield(parts)
    }

    private fun fits(parts: List<Example>): Boolean {
        val frames = parts.sumOf { it.frames.length } // their tails are about as long as the gaps
        val tokens = tokenizer.encode(parts.joinToString(" ") { it.text })
        val shortest = parts.sumOf { withoutTail(it.frames, config).length } + shortestGap * (parts.size - 1)
        return frames <= ROOM * config.sizes.maxFrames && tokens.size <= config.maxLabels && aligned(tokens, shortest)
    }

    /** Whether a string of so many frames, before its silence is added, has room for the labels. */
    private fun aligned(tokens: IntArray, frames: Int): Boolean =
        alignmentProblem(tokens, minOf(frames + config.tailFrames, config.sizes.maxFrames), config) == null
}
