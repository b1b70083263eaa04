package tfliteasr.demo

import android.media.AudioAttributes
import android.media.AudioFormat
import android.media.AudioTrack
import tfliteasr.audio.Sound

/** Plays one recording at a time. */
class Player {
    private var track: AudioTrack? = null

    fun play(sound: Sound) {
        stop()
        if (sound.samples.isEmpty()) return
        val samples = ShortArray(sound.samples.size) { (sound.samples[it] * Short.MAX_VALUE).toInt().toShort() }
        val attributes = AudioAttributes.Builder()
            .setUsage(AudioAttributes.USAGE_MEDIA)
            .setContentType(AudioAttributes.CONTENT_TYPE_SPEECH)
            .build()
        val format = AudioFormat.Builder()
            .setEncoding(AudioFormat.ENCODING_PCM_16BIT)
            .setSampleRate(sound.sampleRate)
            .setChannelMask(AudioFormat.CHANNEL_OUT_MONO)
            .build()
        track = AudioTrack.Builder()
            .setAudioAttributes(attributes)
            .setAudioFormat(format)
            .setTransferMode(AudioTrack.MODE_STATIC)
            .setBufferSizeInBytes(2 * samples.size)
            .build()
            .also {
                it.write(samples, 0, samples.size)
                it.play()
            }
    }

    fun stop() {
        track?.release()
        track = null
    }
}
