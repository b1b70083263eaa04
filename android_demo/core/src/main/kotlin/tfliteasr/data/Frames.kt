package tfliteasr.data

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.pow
import tfliteasr.Generator
import tfliteasr.runtime.FeatureConfig
import tfliteasr.runtime.Frames
import tfliteasr.runtime.FrontEnd
import tfliteasr.runtime.ModelConfig
import tfliteasr.runtime.StemConfig

/*
 * What [varyRecording] does to waveforms, done to frames: a phone that keeps features alone has no waveforms left.
 *
 * Powers of log-mel bands add up where waveforms do, so noise and pauses come out as they would have; speed moves the frames
 * in time and the bands in frequency, as playing a recording faster does. Frames of a waveform stem are only moved in time:
 * its channels are no bands, and it has evened out the level already.
 */

private const val NOISE_CHANCE = 0.7
private const val SLOWEST_STEM = 0.88
private const val FASTEST_STEM = 1.14
private const val NOISE_FREEDOM = 6 // degrees of freedom of a band's noise power: about three bins of the transform

/** The value of every band of a frame without sound. */
fun silence(config: FeatureConfig): Float = ((ln(config.logFloor) - config.mean) / config.deviation).toFloat()

/**
 * A frame without sound, for an utterance: a stem's is the one that it begins with, of the silence that
 * `Recognizer.features` puts before it.
 */
fun silentFrame(frames: Frames, config: FrontEnd): FloatArray = when (config) {
    is StemConfig -> frames.values.copyOf(frames.width)
    is FeatureConfig -> FloatArray(config.width) { silence(config) }
}

/** Frames without the silence that `Recognizer.features` added at the end; what was said stays. */
fun withoutTail(frames: Frames, config: ModelConfig): Frames {
    val features = config.features
    if (config.tailFrames == 0 || features !is FeatureConfig) return frames
    val last = maxOf(1, frames.length - config.tailFrames)
    val quiet = silence(features) + 0.05f // stored in eight bits
    val tail = frames.values.asList().subList(last * frames.width, frames.values.size)
    return if (tail.all { it < quiet }) frames.first(last) else frames
}

/** Pieces one after the other, silent frames between them; one gap fewer than pieces. */
fun joined(pieces: List<Frames>, gaps: List<Int>, config: FrontEnd): Frames {
    require(gaps.size == pieces.size - 1) { "expected a gap between any two pieces" }
    val values = pieces.withIndex().map { (index, piece) ->
        if (index == 0) piece.values else repeated(silentFrame(piece, config), gaps[index - 1]) + piece.values
    }
    return Frames(values.reduce(FloatArray::plus), config.width)
}

/** A frame [count] times. */
fun repeated(frame: FloatArray, count: Int): FloatArray = FloatArray(count * frame.size) { frame[it % frame.size] }

/** Another number of frames: speed, level, silence around it, noise under it; of a stem's frames, speed alone. */
fun varyFrames(recorded: Frames, config: FrontEnd, random: Generator): Frames = when (config) {
    is StemConfig -> inTime(recorded, random.uniform(SLOWEST_STEM, FASTEST_STEM))
    is FeatureConfig -> varyLogMel(recorded, config, random)
}

/** [time / speed] frames of as many, linear between two of them. */
fun inTime(frames: Frames, speed: Double): Frames {
    val length = maxOf(1, Math.rint(frames.length / speed).toInt())
    val values = FloatArray(length * frames.width) { index ->
        val time = index / frames.width * speed
        val before = minOf(time.toInt(), frames.length - 1)
        val after = minOf(before + 1, frames.length - 1)
        val part = (time - before).toFloat()
        frames.at(before, index % frames.width) * (1 - part) + frames.at(after, index % frames.width) * part
    }
    return Frames(values, frames.width)
}

private fun varyLogMel(recorded: Frames, config: FeatureConfig, random: Generator): Frames {
    val faster = playedFaster(recorded, SPEEDS[random.integers(0, SPEEDS.lastIndex)], config)
    val level = random.uniform(-20.0, 6.0) * ln(10.0) / 10 / config.deviation // dB, relative to the recording
    val edge = (EDGE_SECONDS * config.sampleRate / config.hopSamples).toInt()
    val (before, after) = random.integers(0, edge) to random.integers(0, edge)
    val bands = config.melBands
    val quiet = silence(config)
    val values = DoubleArray((before + faster.length + after) * bands) { quiet.toDouble() }
    for (index in faster.values.indices) values[before * bands + index] = faster.values[index] + level
    if (random.random() < NOISE_CHANCE) addNoise(values, config, random)
    return Frames(FloatArray(values.size) { maxOf(values[it].toFloat(), quiet) }, bands)
}

private fun addNoise(values: DoubleArray, config: FeatureConfig, random: Generator) {
    val bands = config.melBands
    val tilt = random.uniform(-1.0, 1.0) // from white towards pinkish, in nats
    val fluctuation = DoubleArray(values.size) { random.chisquare(NOISE_FREEDOM) / NOISE_FREEDOM }
    val power = DoubleArray(values.size) { exp(values[it] * config.deviation + config.mean) }
    val mean = power.average() * 10.0.pow(random.uniform(-45.0, -12.0) / 10)
    for (index in values.indices) {
        val slope = exp(tilt * (1 - 2.0 * (index % bands) / (bands - 1)))
        values[index] = (ln(power[index] + mean * slope * fluctuation[index]) - config.mean) / config.deviation
    }
}

/** [time / speed] frames of as many: every frequency, and so every band, [speed] times as high. */
fun playedFaster(frames: Frames, speed: Double, config: FeatureConfig): Frames =
    if (speed == 1.0) frames else inTime(movedBands(frames, speed, config), speed)

/** As many frames: every frequency [factor] times as high, the speed as it was. */
fun movedBands(frames: Frames, factor: Double, config: FeatureConfig): Frames {
    val bands = config.melBands
    val centres = bandCentresHz(config)
    val source = DoubleArray(bands) { interpolated(centres[it] / factor, centres) } // the band that is heard in each
    val values = FloatArray(frames.values.size) { index ->
        val low = source[index % bands].toInt()
        val share = (source[index % bands] - low).toFloat()
        frames.at(index / bands, low) * (1 - share) + frames.at(index / bands, minOf(low + 1, bands - 1)) * share
    }
    return Frames(values, bands)
}

/** Where [x] lies among rising [points], as a place between their numbers. */
private fun interpolated(x: Double, points: DoubleArray): Double {
    if (x <= points.first()) return 0.0
    val above = points.indexOfFirst { it >= x }
    if (above < 0) return points.lastIndex.toDouble()
    return above - 1 + (x - points[above - 1]) / (points[above] - points[above - 1])
}

/** Of each band, on the scale of the features: linear to 1 kHz, logarithmic above (Slaney 1998). */
private fun bandCentresHz(config: FeatureConfig): DoubleArray {
    val step = ln(6.4) / 27
    fun toMel(hertz: Double) = if (hertz < 1000) hertz * 3 / 200 else 15 + ln(hertz / 1000) / step
    fun toHertz(mel: Double) = if (mel < 15) mel * 200 / 3 else 1000 * exp((mel - 15) * step)
    val (low, high) = toMel(config.minHz) to toMel(config.maxHz)
    return DoubleArray(config.melBands) { toHertz(low + (high - low) * (it + 1) / (config.melBands + 1)) }
}
