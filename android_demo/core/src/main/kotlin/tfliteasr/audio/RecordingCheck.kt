package tfliteasr.audio

import kotlin.math.abs

/** Whether a recording can be learnt from. */
enum class RecordingCheck {
    GOOD,
    TOO_SHORT,
    TOO_LONG,
    SILENT,
    TOO_LOUD;

    companion object {
        private const val SHORTEST_SECONDS = 0.3
        private const val SILENT_PEAK = 0.01f // -40 dB of full scale: a voice into a phone is well above it
        private const val CLIPPED = 0.999f
        private const val CLIPPED_SHARE = 0.002 // of the samples: a single click is no harm

        fun of(sound: Sound, maxSeconds: Double): RecordingCheck = when {
            sound.seconds < SHORTEST_SECONDS -> TOO_SHORT
            sound.seconds > maxSeconds -> TOO_LONG
            sound.samples.none { abs(it) >= SILENT_PEAK } -> SILENT
            sound.samples.count { abs(it) >= CLIPPED } > CLIPPED_SHARE * sound.samples.size -> TOO_LOUD
            else -> GOOD
        }
    }
}
