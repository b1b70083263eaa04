package tfliteasr.android

import android.annotation.SuppressLint
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.Handler
import android.os.Looper
import kotlin.math.abs
import tfliteasr.audio.Sound

/**
 * Records from the microphone until it is stopped, at most [maxSeconds] and a little.
 *
 * @param onSamples told the samples of each moment as they come, on the microphone's thread.
 * @param onLevel told the peak of the last moment, 0 to 1; [onDone] the recording, or null when there is none to be had.
 *     Both are called on the main thread.
 */
class Microphone(
    private val sampleRate: Int,
    private val maxSeconds: Double,
    private val onSamples: (FloatArray) -> Unit,
    private val onLevel: (Float) -> Unit,
    private val onDone: (Sound?) -> Unit,
) {
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var stopped = false

    fun start() {
        Thread(::record, "microphone").start()
    }

    fun stop() {
        stopped = true
    }

    @SuppressLint("MissingPermission") // the screens ask for it before they make a microphone; without it there is no sound
    private fun record() {
        val chunk = ShortArray(sampleRate / 20)
        val least = AudioRecord.getMinBufferSize(sampleRate, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT)
        val recorder = AudioRecord(
            MediaRecorder.AudioSource.VOICE_RECOGNITION,
            sampleRate,
            AudioFormat.CHANNEL_IN_MONO,
            AudioFormat.ENCODING_PCM_16BIT,
            maxOf(least, 8 * chunk.size),
        )
        try {
            if (recorder.state != AudioRecord.STATE_INITIALIZED) return finish(null)
            recorder.startRecording()
            val most = ((maxSeconds + 0.5) * sampleRate).toInt()
            val heard = ArrayList<Float>(most)
            while (!stopped && heard.size < most) {
                val count = recorder.read(chunk, 0, chunk.size)
                if (count < 0) return finish(null)
                if (count == 0) continue // nothing new yet: the level stays
                val samples = FloatArray(count) { chunk[it] / 32768f }
                heard.addAll(samples.asList())
                onSamples(samples)
                val peak = samples.maxOfOrNull { abs(it) } ?: 0f
                main.post { onLevel(peak) }
            }
            recorder.stop()
            finish(Sound(heard.toFloatArray(), sampleRate))
        } catch (_: IllegalStateException) { // another app took the microphone
            finish(null)
        } finally {
            recorder.release()
        }
    }

    private fun finish(sound: Sound?) {
        main.post {
            onLevel(0f)
            onDone(sound)
        }
    }
}
