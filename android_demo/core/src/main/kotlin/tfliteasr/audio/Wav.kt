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

/**
 * Samples of one channel, from -1 to 1.
 *
 * @property notices what was done to a file that was not as it should be, in the same words for every file.
 */
class Sound(val samples: FloatArray, val sampleRate: Int, val notices: List<String> = emptyList()) {
    val seconds: Double get() = samples.size.toDouble() / sampleRate
}

/** A part of a file; [durationSeconds] null: to its end. */
class Segment(val offsetSeconds: Double, val durationSeconds: Double?)

/**
 * A WAV file of 16-bit samples, as [writeWav] makes them; several channels become one, see [mixed].
 *
 * All that the file holds is read: a header may give too little, a recorder that died leaves 0, and files may be joined.
 *
 * @param where what an error names as the place the path came from, such as `manifest.jsonl:17`.
 * @param segment the part that is wanted; null for the whole file.
 */
fun readWav(path: File, where: String = "", segment: Segment? = null): Sound {
    val place = if (where.isEmpty()) "$path" else "$where: $path"
    if (!path.isFile) throw InputError("$place: expected an audio file, there is none; correct the path")
    val bytes = reading({ "$place: cannot be read ($it)" }) { ByteBuffer.wrap(path.readBytes()).order(ByteOrder.LITTLE_ENDIAN) }
    if (!isWav(bytes, 0)) throw InputError("$place: expected a WAV file; convert it")
    val notices = LinkedHashSet<String>()
    val recordings = ArrayList<Channels>()
    var start = 0
    while (start < bytes.capacity()) {
        val (recording, end) = recording(bytes, start, place, notices)
        recordings.add(recording)
        start = end
    }
    if (recordings.size > 1) notices.add(JOINED)
    val rate = recordings.first().sampleRate
    if (recordings.any { it.sampleRate != rate }) {
        throw InputError("$place: expected joined recordings of one sample rate; convert them one by one")
    }
    val frames = recordings.sumOf { it.frames }
    if (frames == 0) throw InputError("$place: expected speech, got a file without samples; leave it out")
    val (first, last) = if (segment == null) 0 to frames else span(segment, frames, rate, place)
    val samples = FloatArray(last - first)
    var at = -first
    for (recording in recordings) {
        val from = maxOf(0, -at)
        val to = minOf(recording.frames, samples.size - at)
        if (from < to) mixed(recording.part(from, to), notices).copyInto(samples, at + from)
        at += recording.frames
    }
    if (samples.none { abs(it) >= SILENT_PEAK }) throw InputError("$place: expected speech, got silence; leave it out")
    return Sound(samples, rate, notices.toList())
}

/** The recording that begins at [start], and where the next may begin. */
private fun recording(bytes: ByteBuffer, start: Int, place: String, notices: MutableSet<String>): Pair<Channels, Int> {
    var format: ByteBuffer? = null
    var at = start + 12
    while (at + 8 <= bytes.capacity()) {
        val size = bytes.getInt(at + 4).toLong() and 0xffffffffL
        val begin = at + 8
        if (tag(bytes, at) == "data") {
            val known = format ?: throw InputError("$place: its samples come before their format; write the file again")
            val channels = formatOf(known, place)
            val slack = (SLACK_SECONDS * channels.sampleRate * channels.frameBytes).toLong()
            val (held, end) = held(bytes, begin, size, slack, place, notices)
            return channels.of(section(bytes, begin, held)) to end
        }
        if (begin + size > bytes.capacity()) throw InputError("$place: the file is cut short; copy it again")
        if (tag(bytes, at) == "fmt ") format = section(bytes, begin, size.toInt())
        at = Math.addExact(begin, (size + size % 2).toInt())
    }
    throw InputError("$place: expected speech, got a WAV file without samples; leave it out")
}

/** Bytes of samples from [begin], which need not be the [declared] ones, and where a joined recording begins, or the end. */
private fun held(
    bytes: ByteBuffer,
    begin: Int,
    declared: Long,
    slack: Long,
    place: String,
    notices: MutableSet<String>,
): Pair<Int, Int> {
    val available = bytes.capacity() - begin
    val from = begin + if (declared <= available) declared.toInt() else 0
    val end = (from..bytes.capacity() - 12).firstOrNull { isWav(bytes, it) } ?: bytes.capacity()
    if (declared > end - begin) {
        if (declared >= UNKNOWN_BYTES) return beforeTrailing(bytes, begin, end) - begin to end
        if (declared - (end - begin) > slack) throw InputError("$place: the file is cut short; copy it again")
        notices.add(MORE)
        return end - begin to end
    }
    if (isChunks(bytes, from, end) || isChunks(bytes, from + (declared % 2).toInt(), end)) return declared.toInt() to end
    val rest = beforeTrailing(bytes, from, end)
    if (rest - from <= slack || isTag(bytes, from) || (from until rest).all { bytes.get(it) == 0.toByte() }) {
        return declared.toInt() to end
    }
    notices.add(LESS)
    return rest - begin to end
}

/** Whether nothing but whole chunks, and at most a tag behind them, stands from [start] to [end]. */
private fun isChunks(bytes: ByteBuffer, start: Int, end: Int): Boolean {
    var at = start.toLong()
    while (at + 8 <= end) {
        val here = at.toInt()
        if (isTag(bytes, here)) return true
        if (tag(bytes, here).any { it < ' ' || it > '~' }) return false
        val size = bytes.getInt(here + 4).toLong() and 0xffffffffL
        at += 8 + size + size % 2
        if (at > end + 1) return false
    }
    return true
}

/** Where known chunks or a tag behind the samples begin; [end] where there are none. */
private fun beforeTrailing(bytes: ByteBuffer, start: Int, end: Int): Int {
    val chunk = (start..end - 8).firstOrNull { bytes.getInt(it) in TRAILING && isChunks(bytes, it, end) }
    if (chunk != null) return chunk
    return if (end - ID3V1_BYTES >= start && tag(bytes, end - ID3V1_BYTES).startsWith("TAG")) end - ID3V1_BYTES else end
}

private fun span(segment: Segment, frames: Int, rate: Int, place: String): Pair<Int, Int> {
    val seconds = frames.toDouble() / rate
    val end = segment.durationSeconds?.let { segment.offsetSeconds + it } ?: seconds
    if (segment.offsetSeconds >= seconds || end > seconds + PAST_END_SECONDS) {
        throw InputError(
            "$place: expected a segment within the $seconds s of the file, got ${segment.offsetSeconds} to $end s; " +
                "correct 'offset' and 'duration'",
        )
    }
    val first = (segment.offsetSeconds * rate).roundToInt()
    val last = minOf((end * rate).roundToInt(), frames)
    if (first >= last) throw InputError("$place: expected speech, got a segment without samples; leave it out")
    return first to last
}

private fun formatOf(format: ByteBuffer, place: String): Channels {
    val kind = if (format.capacity() < 16) 0 else format.getShort(0).toInt() and 0xffff
    val bits = if (kind == 0) 0 else format.getShort(14).toInt()
    if ((kind != PCM && kind != EXTENSIBLE) || bits != 16) {
        throw InputError("$place: expected 16-bit PCM, got format $kind of $bits bits; convert it")
    }
    val channels = format.getShort(2).toInt()
    val rate = format.getInt(4)
    if (channels < 1 || rate < 1) throw InputError("$place: $channels channels at $rate Hz; write the file again")
    return Channels(channels, rate, ByteBuffer.allocate(0))
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

private const val RIFF = 0x46464952
private const val PCM = 1
private const val EXTENSIBLE = 0xfffe
private const val SILENT_PEAK = 1e-4f // -80 dB of full scale; a muted microphone stays below, a distant whisper does not
private const val SLACK_SECONDS = 0.01 // a header that is off by less than this is no sign of a damaged file
private const val PAST_END_SECONDS = 0.1 // that a segment may reach past the end of its file: durations are rounded
private const val UNKNOWN_BYTES = 0x7FFFF000L // a WAV that was written to a pipe gives this length or a greater one
private const val ID3V1_BYTES = 128
internal const val LESS = "the header gives less than the file holds; read to the end"
internal const val MORE = "the header gives a little more than the file holds; read what is there"
internal const val JOINED = "several recordings joined in one file; read all of them"

/** Names of chunks that are written behind the samples, as they stand in a little-endian file. */
private val TRAILING = listOf("LIST", "id3 ", "ID3 ", "bext", "fact", "cue ", "smpl", "inst", "iXML", "JUNK", "PAD ", "DISP", "PEAK")
    .map { ByteBuffer.wrap(it.toByteArray()).order(ByteOrder.LITTLE_ENDIAN).getInt(0) }
    .toSet()

private fun isWav(bytes: ByteBuffer, at: Int) =
    bytes.capacity() >= at + 12 && bytes.getInt(at) == RIFF && tag(bytes, at) == "RIFF" && tag(bytes, at + 8) == "WAVE"

/** Whether a tag of a tagger that knows MP3 alone begins here. */
private fun isTag(bytes: ByteBuffer, at: Int) =
    at + 8 <= bytes.capacity() && (tag(bytes, at).let { it.startsWith("TAG") || it.startsWith("ID3") && it != "ID3 " || it == "APET" })

private fun tag(bytes: ByteBuffer, at: Int) = String(ByteArray(4) { bytes.get(at + it) }, Charsets.ISO_8859_1)

private fun section(bytes: ByteBuffer, start: Int, size: Int): ByteBuffer =
    bytes.duplicate().apply { position(start).limit(start + size) }.slice().order(ByteOrder.LITTLE_ENDIAN)
