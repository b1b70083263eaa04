package tfliteasr.audio

import tfliteasr.InputError

private const val PADDING_SECONDS = 0.4 // of silence that an utterance keeps before its speech
private const val LEAST_SPEECH_SECONDS = 0.05 // what is louder for a shorter time is a click
private const val LEAST_PAUSE_SECONDS = 0.1 // in which speech that is too long is cut

/**
 * An utterance is over when one of these holds.
 *
 * @property leadingSilenceSeconds nothing was said since it began.
 * @property trailingSilenceSeconds something was said, and then nothing.
 * @property longestSeconds it lasts so long; it is cut at the longest pause of its second half.
 */
data class EndpointRules(
    val leadingSilenceSeconds: Double = 5.0,
    val trailingSilenceSeconds: Double = 0.8,
    val longestSeconds: Double = 20.0,
) {
    init {
        for (seconds in listOf(leadingSilenceSeconds, trailingSilenceSeconds, longestSeconds)) {
            if (seconds !in 0.1..1e6) throw InputError("endpoint rules: expected 0.1 s or more, got $seconds")
        }
    }
}

/**
 * An utterance that is over; times count from the beginning of the stream.
 *
 * @property rule that ended it: leading_silence, trailing_silence, longest, or end, of the stream.
 * @property startSeconds of its audio.
 * @property endSeconds of its audio; the next utterance begins no earlier.
 * @property speechStartSeconds null where nothing was said.
 * @property decidedSeconds how much of the stream had to be heard to know.
 */
data class Endpoint(
    val rule: String,
    val startSeconds: Double,
    val endSeconds: Double,
    val speechStartSeconds: Double?,
    val speechEndSeconds: Double?,
    val decidedSeconds: Double,
)

/** Cuts a stream of samples into utterances, by [rules] on what [detector] tells. */
class Endpointer(
    private val sampleRate: Int,
    val rules: EndpointRules = EndpointRules(),
    private val detector: VoiceActivityDetector = EnergyDetector(sampleRate),
) {
    private val step = detector.stepSeconds
    private var heard = 0L // samples of the stream
    private var scores = ArrayList<Double>() // since the utterance began
    private var first = 0 // the step at which it began
    private var atEnd = 0 // how many of its steps, the last ones, were speech or not without change
    private var speech: IntRange? = null // its steps from the first of speech to the last

    /** Where the utterance that is not over yet began. */
    val startSeconds: Double get() = first * step

    /** Whether anything was said in it so far. */
    val speaking: Boolean get() = speech != null

    /** The utterances that are over with [samples] more. */
    fun process(samples: FloatArray): List<Endpoint> {
        heard += samples.size
        return detector.process(samples).toList().mapNotNull {
            add(it)
            over()
        }
    }

    /** What was said since the last endpoint, when the stream ends; null where nothing was. Then another stream may begin. */
    fun finish(): Endpoint? {
        val seconds = heard.toDouble() / sampleRate // with the samples of an unfinished step
        val ended = speech?.let { ended("end", scores.size).copy(endSeconds = seconds, decidedSeconds = seconds) }
        detector.reset()
        restart(0)
        heard = 0
        return ended
    }

    private fun restart(at: Int) {
        scores = ArrayList()
        first = at
        atEnd = 0
        speech = null
    }

    private fun add(score: Double) {
        val changed = scores.isNotEmpty() && (score > 0) != (scores.last() > 0)
        atEnd = if (changed) 1 else atEnd + 1
        scores.add(score)
        if (score > 0 && atEnd >= steps(LEAST_SPEECH_SECONDS)) {
            speech = (speech?.first ?: (scores.size - atEnd)) until scores.size
        }
    }

    /** The utterance, if a rule ends it now. */
    private fun over(): Endpoint? {
        val (count, said) = scores.size to speech
        if (said == null) {
            if (count < steps(minOf(rules.leadingSilenceSeconds, rules.longestSeconds))) return null
            return cut("leading_silence", count - minOf(count - 1, steps(PADDING_SECONDS))) // a word may just be beginning
        }
        val behind = said.last + 1
        if (count - behind >= steps(rules.trailingSilenceSeconds)) {
            return cut("trailing_silence", behind + steps(rules.trailingSilenceSeconds / 2))
        }
        val start = audioStart()
        return if (count - start >= steps(rules.longestSeconds)) cut("longest", bestCut(start + (count - start) / 2)) else null
    }

    /** End the utterance at a step; those behind it belong to the next one. */
    private fun cut(rule: String, end: Int): Endpoint {
        val ended = ended(rule, end)
        val rest = scores.drop(end)
        restart(first + end)
        rest.forEach(::add)
        return ended
    }

    private fun ended(rule: String, end: Int) = Endpoint(
        rule,
        at(audioStart()),
        at(end),
        speech?.let { at(it.first) },
        speech?.let { at(minOf(it.last + 1, end)) },
        at(scores.size),
    )

    /** The step at which the utterance's audio begins: silence before it is left out. */
    private fun audioStart(): Int = speech?.let { maxOf(0, it.first - steps(PADDING_SECONDS)) } ?: 0

    /**
     * Where to cut speech that is too long, at or behind step [from]: the middle of the longest pause, or without one the
     * quietest step.
     */
    private fun bestCut(from: Int): Int {
        var (longest, begin) = 0 to from
        var run = 0
        for (at in from until scores.size) {
            run = if (scores[at] <= 0) run + 1 else 0
            if (run > longest) {
                longest = run
                begin = at + 1 - run
            }
        }
        if (longest >= steps(LEAST_PAUSE_SECONDS)) return (2 * begin + longest + 1) / 2
        return (from until scores.size).minBy { scores[it] } + 1
    }

    private fun steps(seconds: Double): Int = maxOf(1, Math.rint(seconds / step).toInt())

    private fun at(place: Int): Double = (first + place) * step
}
