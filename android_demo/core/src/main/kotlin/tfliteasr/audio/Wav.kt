package tfliteasr.audio

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.roundToInt
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.runtime.reading
import tfliteasr.writeAll
import tfliteasr.writeAtomically

/** Samples of one channel, from -1 to 1. */
class Sound(val samples: FloatArray, val sampleRate: Int) {
    val seconds: Double get() = samples.size.toDouble() / sampleRate
}

/**
 * A WAV file of 16-bit samples, as [writeWav] makes them; several channels are mixed to one.
 *
 * @param where what an error names as the place the path came from, such as `manifest.jsonl:17`.
 */
fun readWav(path: File, where: String = ""): Sound {
    val place = if (where.isEmpty()) "$path" else "$where: $path"
    if (!path.isFile) throw InputError("$place: expected an audio file, there is none; correct the path")
    val bytes = reading({ "$place: cannot be read ($it)" }) { ByteBuffer.wrap(path.readBytes()).order(ByteOrder.LITTLE_ENDIAN) }
    if (bytes.capacity() < 12 || tag(bytes, 0) != "RIFF" || tag(bytes, 8) != "WAVE") {
        throw InputError("$place: expected a WAV file; convert it")
    }
    var format: ByteBuffer? = null
    var at = 12
    while (at + 8 <= bytes.capacity()) {
        val size = bytes.getInt(at + 4)
        val start = at + 8
        if (size < 0 || start.toLong() + size > bytes.capacity()) throw InputError("$place: the file is cut short; copy it again")
        when (tag(bytes, at)) {
            "fmt " -> format = section(bytes, start, size)
            "data" -> {
                val known = format ?: throw InputError("$place: its samples come before their format; write the file again")
                return decoded(known, section(bytes, start, size), place)
            }
        }
        at = Math.addExact(start, size + size % 2)
    }
    throw InputError("$place: expected speech, got a WAV file without samples; leave it out")
}

private fun decoded(format: ByteBuffer, data: ByteBuffer, place: String): Sound {
    val kind = if (format.capacity() < 16) 0 else format.getShort(0).toInt() and 0xffff
    val bits = if (kind == 0) 0 else format.getShort(14).toInt()
    if ((kind != PCM && kind != EXTENSIBLE) || bits != 16) {
        throw InputError("$place: expected 16-bit PCM, got format $kind of $bits bits; convert it")
    }
    val channels = format.getShort(2).toInt()
    val rate = format.getInt(4)
    if (channels < 1 || rate < 1) throw InputError("$place: $channels channels at $rate Hz; write the file again")
    val samples = FloatArray(data.capacity() / 2 / channels) { index ->
        var sum = 0f
        for (channel in 0 until channels) sum += data.getShort(2 * (index * channels + channel))
        sum / channels / FULL_SCALE
    }
    if (samples.isEmpty()) throw InputError("$place: expected speech, got a file without samples; leave it out")
    if (samples.none { abs(it) >= SILENT_PEAK }) throw InputError("$place: expected speech, got silence; leave it out")
    return Sound(samples, rate)
}

/** Write 16-bit samples of one channel; the file is complete or it is not there. */
fun writeWav(path: File, sound: Sound) {
    val size = 2 * sound.samples.size
    val bytes = ByteBuffer.allocate(44 + size).order(ByteOrder.LITTLE_ENDIAN)
    bytes.put("RIFF".toByteArray()).putInt(36 + size).put("WAVEfmt ".toByteArray()).putInt(16)
    bytes.putShort(PCM.toShort()).putShort(1).putInt(sound.sampleRate).putInt(2 * sound.sampleRate).putShort(2).putShort(16)
    bytes.put("data".toByteArray()).putInt(size)
    for (sample in sound.samples) bytes.putShort((sample.coerceIn(-1f, 1f) * (FULL_SCALE - 1)).roundToInt().toShort())
    try {
        bytes.flip()
        writeAtomically(path) { writeAll(it, bytes) }
    } catch (error: IOException) {
        throw StorageError("$path: could not be written (${error.message}); is the storage full?", error)
    }
}

private const val PCM = 1
private const val EXTENSIBLE = 0xfffe
private const val SILENT_PEAK = 1e-4f // -80 dB of full scale; a muted microphone stays below, a distant whisper does not
private const val FULL_SCALE = 32768f

private fun tag(bytes: ByteBuffer, at: Int) = String(ByteArray(4) { bytes.get(at + it) }, Charsets.ISO_8859_1)

private fun section(bytes: ByteBuffer, start: Int, size: Int): ByteBuffer =
    bytes.duplicate().apply { position(start).limit(start + size) }.slice().order(ByteOrder.LITTLE_ENDIAN)
