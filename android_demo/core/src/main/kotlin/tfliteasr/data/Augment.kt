package tfliteasr.data

import kotlin.math.pow
import kotlin.math.roundToInt
import kotlin.math.sqrt
import kotlin.random.Random
import kotlin.random.asJavaRandom

/** What training does to speech so that few recordings stand for many: speed, level, noise, pauses. */

/** Tempo, pitch and vocal tract length at once. */
val SPEEDS = doubleArrayOf(0.82, 0.88, 0.94, 1.0, 1.06, 1.12, 1.2)

private const val EDGE_SECONDS = 0.3 // most silence before and after
private const val QUIETEST_DB = -50.0 // root mean square from full scale: real recordings are as quiet as that
private const val LOUDEST_DB = -12.0

/** [n] -> [n / speed], played faster by [speed], linear between samples. */
fun varySpeed(samples: FloatArray, speed: Double): FloatArray {
    if (speed == 1.0) return samples
    return FloatArray(maxOf(1, (samples.size / speed).roundToInt())) { index ->
        val at = index * speed
        val left = minOf(at.toInt(), samples.lastIndex)
        val right = minOf(left + 1, samples.lastIndex)
        val share = minOf(at - left, 1.0)
        (samples[left] + (samples[right] - samples[left]) * share).toFloat()
    }
}

/** [n] -> [n + up to 2 edges]: silence around, another level, white or pinkish noise under it. */
fun varyRecording(recorded: FloatArray, sampleRate: Int, random: Random): FloatArray {
    val before = (random.nextDouble(EDGE_SECONDS) * sampleRate).toInt()
    val after = (random.nextDouble(EDGE_SECONDS) * sampleRate).toInt()
    val samples = FloatArray(before + recorded.size + after)
    recorded.copyInto(samples, before)
    val level = gain(random.nextDouble(QUIETEST_DB, LOUDEST_DB)) / (rms(samples) + 1e-6)
    for (index in samples.indices) samples[index] = (samples[index] * level).toFloat()
    if (random.nextDouble() < 0.7) addNoise(samples, random)
    for (index in samples.indices) samples[index] = samples[index].coerceIn(-1f, 1f)
    return samples
}

private fun addNoise(samples: FloatArray, random: Random) {
    val gaussian = random.asJavaRandom()
    val pole = if (random.nextDouble() < 0.5) random.nextDouble(0.7, 0.97) else 0.0 // 0: white
    val drive = sqrt(1 - pole * pole)
    val scale = rms(samples) * gain(random.nextDouble(-45.0, -12.0))
    var noise = 0.0
    for (index in samples.indices) {
        noise = drive * gaussian.nextGaussian() + pole * noise
        samples[index] = (samples[index] + scale * noise).toFloat()
    }
}

internal fun gain(db: Double): Double = 10.0.pow(db / 20)

private fun rms(samples: FloatArray): Double = sqrt(samples.sumOf { it.toDouble() * it } / samples.size)
