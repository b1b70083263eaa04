package tfliteasr.data

import kotlin.math.roundToInt
import kotlin.random.Random
import tfliteasr.InputError
import tfliteasr.audio.readWav
import tfliteasr.runtime.ModelConfig
import tfliteasr.text.CharacterTokenizer

/** Utterances held in memory as 16-bit samples, checked when they are loaded, and clips of them put together. */
class Corpus(val utterances: List<Utterance>, val config: ModelConfig, private val tokenizer: CharacterTokenizer) {
    private val rate = config.features.sampleRate
    private val loaded = utterances.associate { it.where to load(it) }

    private fun load(utterance: Utterance): ShortArray {
        val tokens = tokenizer.encode(utterance.text, utterance.where).size
        if (tokens > config.sizes.maxTokens) {
            throw InputError("${utterance.where}: expected at most ${config.sizes.maxTokens} tokens, the transcript has $tokens")
        }
        val sound = readWav(utterance.audio, utterance.where)
        if (sound.sampleRate != rate) {
            throw InputError("${utterance.where}: expected $rate samples a second, got ${sound.sampleRate}; convert it")
        }
        if (sound.seconds > config.maxSeconds) {
            throw InputError(
                "${utterance.where}: expected at most ${config.maxSeconds} s, got ${sound.seconds} s; cut it or leave it out",
            )
        }
        return ShortArray(sound.samples.size) { (sound.samples[it] * SCALE).roundToInt().toShort() }
    }

    /** [n] in [-1, 1]. */
    fun samples(utterance: Utterance): FloatArray {
        val stored = loaded.getValue(utterance.where)
        return FloatArray(stored.size) { stored[it] / SCALE }
    }

    /** The clip's parts and gaps; with [random], at a random speed, level, noise and with pauses. */
    fun assemble(clip: Clip, random: Random? = null): FloatArray {
        val speed = if (random == null) 1.0 else SPEEDS[random.nextInt(SPEEDS.size)]
        val pieces = ArrayList<FloatArray>()
        clip.parts.forEachIndexed { index, part ->
            if (index > 0) pieces.add(FloatArray((clip.gapsSeconds[index - 1] * rate).toInt()))
            pieces.add(varySpeed(samples(part), speed))
        }
        val samples = FloatArray(pieces.sumOf { it.size })
        var at = 0
        for (piece in pieces) {
            val level = if (random == null) 1.0 else gain(random.nextDouble(-6.0, 6.0))
            for (sample in piece) samples[at++] = (sample * level).toFloat()
        }
        return if (random == null) samples else varyRecording(samples, rate, random)
    }

    /** Clips of [utterances] that fit the model; those of a clip with too many tokens each on its own. */
    fun fittingClips(utterances: List<Utterance>, upTo: Int, random: Random, maxSeconds: Double): List<Clip> =
        connect(utterances, upTo, random) { seconds(it) <= maxSeconds }.flatMap { clip ->
            val fits = tokenizer.encode(clip.text).size <= config.sizes.maxTokens
            if (fits) listOf(clip) else clip.parts.map { Clip(listOf(it)) }
        }

    private fun seconds(clip: Clip): Double =
        clip.parts.sumOf { loaded.getValue(it.where).size }.toDouble() / rate + clip.gapsSeconds.sum()

    private companion object {
        const val SCALE = 32767f
    }
}
