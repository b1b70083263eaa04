package tfliteasr.audio

import kotlin.math.log10
import kotlin.math.pow
import kotlin.math.roundToInt

private const val STEP_SECONDS = 0.01
private const val AVERAGE_SECONDS = 0.003 // what is slower than this moving average is rumble: it takes away all below 250 Hz
private const val SMOOTHING_STEPS = 10 // over which power is averaged
private const val FLOOR_STEPS = 400 // the noise floor is the lowest level of so many
private const val MARGIN_DB = 4.0 // speech is louder than the noise floor by this
private val QUIET = 10.0.pow(-7.5) // power that no noise floor falls below

/** Tells speech from what is not, in a stream of samples that comes in chunks of any size. */
interface VoiceActivityDetector {
    /** A score stands for so much audio. */
    val stepSeconds: Double

    /**
     * Scores of the steps that [samples] complete: speech where the score is above 0, the surer the higher. Samples that
     * complete no step wait for the next chunk.
     */
    fun process(samples: FloatArray): DoubleArray

    /** Forget the stream; the next samples begin another one. */
    fun reset()
}

/**
 * Speech is what is louder than the noise: a level in dB against its own minimum over the last seconds, as in minimum
 * statistics (Martin 2001, doi 10.1109/89.928915). The score is dB over that floor less [marginDb].
 */
class EnergyDetector(sampleRate: Int, private val marginDb: Double = MARGIN_DB) : VoiceActivityDetector {
    override val stepSeconds = STEP_SECONDS
    private val step = (STEP_SECONDS * sampleRate).roundToInt()
    private val average = 2 * ((AVERAGE_SECONDS * sampleRate).roundToInt() / 2) + 1 // odd: it has a middle
    private var waiting = FloatArray(average - 1) // what the next averages still need, then new samples
    private val powers = ArrayDeque<Double>() // of the last steps
    private val levels = ArrayDeque<Double>() // in dB, of the last steps

    override fun reset() {
        waiting = FloatArray(average - 1)
        powers.clear()
        levels.clear()
    }

    override fun process(samples: FloatArray): DoubleArray {
        val heard = waiting + samples
        val steps = (heard.size - (average - 1)) / step
        val scores = DoubleArray(steps) { score(power(heard, it * step)) }
        waiting = heard.copyOfRange(steps * step, heard.size)
        return scores
    }

    /** Mean square of a step's samples less their moving averages; [first] is where the first average begins. */
    private fun power(heard: FloatArray, first: Int): Double {
        var sum = 0.0
        for (at in first until first + average) sum += heard[at]
        var squares = 0.0
        for (at in first until first + step) {
            val fast = heard[at + average / 2] - sum / average
            squares += fast * fast
            if (at + average < heard.size) sum += heard[at + average].toDouble() - heard[at]
        }
        return squares / step
    }

    private fun score(power: Double): Double {
        powers.keep(power, SMOOTHING_STEPS)
        val level = 10 * log10(powers.average() + QUIET)
        levels.keep(level, FLOOR_STEPS)
        return level - levels.min() - marginDb
    }

    private fun ArrayDeque<Double>.keep(value: Double, most: Int) {
        addLast(value)
        if (size > most) removeFirst()
    }
}
