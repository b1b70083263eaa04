package tfliteasr.audio

import java.nio.ByteBuffer

internal const val FULL_SCALE = 32768f
private const val DEAD_SHARE = 1e-4 // a channel with less power than this share of the loudest's (-40 dB) has no speech
private const val CANCELLED_SHARE = 0.5 // of the power that the mean of unrelated channels has; below it they cancel each other

/** 16-bit samples of several channels, frame by frame. */
internal class Channels(val count: Int, val sampleRate: Int, private val data: ByteBuffer) {
    val frameBytes = 2 * count
    val frames: Int get() = data.capacity() / frameBytes

    fun of(data: ByteBuffer) = Channels(count, sampleRate, data)

    fun part(first: Int, last: Int): Channels {
        val part = data.duplicate().apply { position(first * frameBytes).limit(last * frameBytes) }.slice().order(data.order())
        return Channels(count, sampleRate, part)
    }

    fun sample(frame: Int, channel: Int): Float = data.getShort(frame * frameBytes + 2 * channel) / FULL_SCALE
}

/**
 * The mean of the channels with sound; [notices] is told what was done to several.
 *
 * Channels of opposite polarity, as of a balanced lead in a stereo socket, cancel each other; of these the loudest is taken.
 */
internal fun mixed(channels: Channels, notices: MutableSet<String>): FloatArray {
    val count = channels.count
    if (count == 1) return FloatArray(channels.frames) { channels.sample(it, 0) }
    val power = DoubleArray(count) { channel -> variance(channels.frames) { channels.sample(it, channel) } }
    val loudest = power.indices.maxBy { power[it] }
    val alive = power.indices.filter { power[it] > DEAD_SHARE * power[loudest] }
    if (alive.size == 1) {
        notices.add("took one of $count channels, there is no sound in the others")
        return FloatArray(channels.frames) { channels.sample(it, loudest) }
    }
    val used = alive.ifEmpty { power.indices.toList() }
    val mean = FloatArray(channels.frames) { frame -> used.sumOf { channels.sample(frame, it).toDouble() }.toFloat() / used.size }
    if (alive.isNotEmpty() && variance(mean.size) { mean[it] } < CANCELLED_SHARE * alive.sumOf { power[it] } / alive.size / alive.size) {
        notices.add("took the loudest of $count channels, mixed they cancel each other")
        return FloatArray(channels.frames) { channels.sample(it, loudest) }
    }
    val leftOut = if (alive.size in 1 until count) ", ${count - alive.size} without sound left out" else ""
    notices.add("mixed $count channels down to one$leftOut")
    return mean
}

private fun variance(count: Int, sample: (Int) -> Float): Double {
    val mean = (0 until count).sumOf { sample(it).toDouble() } / count
    return (0 until count).sumOf { (sample(it) - mean) * (sample(it) - mean) } / count
}
