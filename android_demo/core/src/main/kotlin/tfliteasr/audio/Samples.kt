package tfliteasr.audio

import kotlin.math.abs
import tfliteasr.InputError

private const val SILENT_PEAK = 1e-4f // -80 dB of full scale; a muted microphone stays below, a distant whisper does not
private const val ABSURD_PEAK = 8f // beyond this the samples were never scaled, such as shorts made floats

/** [InputError] unless samples are finite and from about -1 to 1. */
fun checkSamples(samples: FloatArray, where: String = "samples") {
    if (samples.isEmpty()) throw InputError("$where: expected speech, got no samples")
    val bad = samples.count { !it.isFinite() }
    if (bad > 0) throw InputError("$where: expected finite samples, $bad are NaN or infinite")
    val peak = peak(samples)
    if (peak > ABSURD_PEAK) {
        throw InputError("$where: expected samples from -1 to 1, got a peak of $peak; divide samples of 16 bits by 32768")
    }
}

/** [InputError] for samples from which nothing can be learned. */
fun checkNotSilent(samples: FloatArray, where: String = "samples") {
    if (peak(samples) < SILENT_PEAK) throw InputError("$where: expected speech, got silence; leave it out")
}

private fun peak(samples: FloatArray): Float = samples.maxOfOrNull { abs(it) } ?: 0f
