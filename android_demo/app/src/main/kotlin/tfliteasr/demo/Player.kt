package tfliteasr.demo

import android.media.AudioAttributes
import android.media.AudioFormat
import android.media.AudioTrack
import java.nio.ByteBuffer
import java.nio.ByteOrder
import tfliteasr.audio.Sound

/** Plays one recording at a time. */
class Player {
    private var track: AudioTrack? = null

    fun play(sound: Sound) {
        stop()
        if (sound.samples.isEmpty()) return
        val bytes = ByteBuffer.allocate(2 * sound.samples.size).order(ByteOrder.nativeOrder())
        for (sample in sound.samples) bytes.putShort((sample * Short.MAX_VALUE).toInt().toShort())
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
            .setBufferSizeInBytes(bytes.capacity())
            .build()
            .also {
                it.write(bytes.array(), 0, bytes.capacity())
                it.play()
            }
    }

    fun stop() {
        track?.release()
        track = null
    }
}
