package tfliteasr.data

import kotlin.math.pow
import kotlin.math.round
import kotlin.math.sqrt
import tfliteasr.Generator

/* What training does to speech so that few recordings stand for many: speed, level, noise, pauses. */

/** Tempo, pitch and vocal tract length at once. */
val SPEEDS = doubleArrayOf(0.82, 0.88, 0.94, 1.0, 1.06, 1.12, 1.2)

internal const val EDGE_SECONDS = 0.3 // most silence before and after
private const val QUIETEST_DB = -50.0 // root mean square from full scale: real recordings are as quiet as that
private const val LOUDEST_DB = -12.0

/** [n] -> [n / speed], played faster by [speed], linear between samples. */
fun varySpeed(samples: FloatArray, speed: Double): FloatArray {
    if (speed == 1.0) return samples
    return FloatArray(maxOf(1, round(samples.size / speed).toInt())) { index ->
        val at = index * speed
        val left = minOf(at.toInt(), samples.lastIndex)
        val right = minOf(left + 1, samples.lastIndex)
        (samples[left] + (samples[right] - samples[left]) * minOf(at - left, 1.0)).toFloat()
    }
}

/** [n] -> [n + up to 2 edges]: silence around, another level, white or pinkish noise under it. */
fun varyRecording(recorded: FloatArray, sampleRate: Int, random: Generator): FloatArray {
    val before = (random.uniform(0.0, EDGE_SECONDS) * sampleRate).toInt()
    val after = (random.uniform(0.0, EDGE_SECONDS) * sampleRate).toInt()
    val samples = FloatArray(before + recorded.size + after)
    recorded.copyInto(samples, before)
    val level = (gain(random.uniform(QUIETEST_DB, LOUDEST_DB)) / (rms(samples) + 1e-6)).toFloat()
    for (index in samples.indices) samples[index] *= level
    if (random.random() < 0.7) addNoise(samples, random)
    for (index in samples.indices) samples[index] = samples[index].coerceIn(-1f, 1f)
    return samples
}

private fun addNoise(samples: FloatArray, random: Generator) {
    val noise = FloatArray(samples.size) { random.normalFloat() }
    if (random.random() < 0.5) {
        val pole = random.uniform(0.7, 0.97)
        var last = 0.0
        for (index in noise.indices) {
            last = sqrt(1 - pole * pole) * noise[index] + pole * last
            noise[index] = last.toFloat()
        }
    }
    val scale = (rms(samples) * gain(random.uniform(-45.0, -12.0))).toFloat()
    for (index in samples.indices) samples[index] += scale * noise[index]
}

internal fun gain(db: Double): Double = 10.0.pow(db / 20)

private fun rms(samples: FloatArray): Double = sqrt(samples.sumOf { it.toDouble() * it } / samples.size)
