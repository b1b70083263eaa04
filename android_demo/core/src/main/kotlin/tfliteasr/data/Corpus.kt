package tfliteasr.data

import kotlin.math.round
import kotlin.math.roundToInt
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.audio.readWav
import tfliteasr.runtime.ModelConfig
import tfliteasr.text.Tokenizer
import tfliteasr.text.folded

/**
 * Utterances held in memory as 16-bit samples, checked when they are loaded, and clips of them put together.
 *
 * @param all what to load; recordings too short to hold a word are left out of [utterances], and [notices] name them.
 * @property tokenizer of what trains, `Artifact.labels`.
 */
class Corpus(all: List<Utterance>, val config: ModelConfig, val tokenizer: Tokenizer) {
    private val rate = config.features.sampleRate
    private val told = LinkedHashSet<String>()
    private val loaded = all.mapNotNull { utterance -> load(utterance)?.let { utterance.where to it } }.toMap()

    val utterances: List<Utterance> = all.filter { it.where in loaded }

    /** What was done to files that were not as they should be. */
    val notices: List<String> get() = told.toList()

    init {
        if (all.isNotEmpty() && utterances.isEmpty()) {
            throw InputError(
                "${all[0].where}: expected recordings of ${config.minSeconds} s or more, all ${all.size} are shorter",
            )
        }
    }

    private fun load(utterance: Utterance): ShortArray? {
        val tokens = tokenizer.encode(folded(utterance.text), utterance.where).size
        if (tokens > config.maxLabels) {
            throw InputError("${utterance.where}: expected at most ${config.maxLabels} tokens, the transcript has $tokens")
        }
        val sound = readWav(utterance.audio, utterance.where, utterance.segment)
        if (sound.sampleRate != rate) {
            throw InputError("${utterance.where}: expected $rate samples a second, got ${sound.sampleRate}; convert it")
        }
        if (sound.seconds > config.maxSeconds) {
            throw InputError(
                "${utterance.where}: expected at most ${config.maxSeconds} s, got ${sound.seconds} s; cut it or leave it out",
            )
        }
        told += sound.notices.map { "${utterance.where}: $it" }
        if (sound.samples.size < (config.minSeconds * rate).roundToInt()) {
            told += "${utterance.where}: left out, shorter than ${config.minSeconds} s, which hold no whole word"
            return null
        }
        return ShortArray(sound.samples.size) { round(sound.samples[it] * SCALE).toInt().toShort() }
    }

    /** [n] in [-1, 1]. */
    fun samples(utterance: Utterance): FloatArray {
        val stored = loaded.getValue(utterance.where)
        return FloatArray(stored.size) { stored[it] / SCALE }
    }

    /** Samples of a clip as [assemble] makes it, unvaried. */
    fun sampleCount(clip: Clip): Int =
        clip.parts.sumOf { loaded.getValue(it.where).size } + clip.gapsSeconds.sumOf { (it * rate).toInt() }

    /** How long a clip lasts, gaps included. */
    fun seconds(clip: Clip): Double =
        clip.parts.sumOf { loaded.getValue(it.where).size }.toDouble() / rate + clip.gapsSeconds.sum()

    /** The clip's parts and gaps; with [random], at a random speed, level, noise and with pauses. */
    fun assemble(clip: Clip, random: Generator? = null): FloatArray {
        val speed = if (random == null) 1.0 else SPEEDS[random.integers(0, SPEEDS.lastIndex)]
        val pieces = ArrayList<FloatArray>()
        clip.parts.forEachIndexed { index, part ->
            if (index > 0) pieces.add(FloatArray((clip.gapsSeconds[index - 1] * rate).toInt()))
            pieces.add(varySpeed(samples(part), speed))
        }
        val samples = FloatArray(pieces.sumOf { it.size })
        var at = 0
        for (piece in pieces) {
            val level = if (random == null) 1f else gain(random.uniform(-6.0, 6.0)).toFloat()
            for (sample in piece) samples[at++] = sample * level
        }
        return if (random == null) samples else varyRecording(samples, rate, random)
    }

    private companion object {
        const val SCALE = 32767f
    }
}
