package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.audio.Endpoint
import tfliteasr.audio.EndpointRules
import tfliteasr.audio.Endpointer
import tfliteasr.audio.EnergyDetector
import tfliteasr.audio.Segmenter
import tfliteasr.audio.Sound
import tfliteasr.audio.SpeechSegment
import tfliteasr.audio.VoiceActivityDetector
import tfliteasr.audio.checkSamples
import tfliteasr.audio.pieces

/**
 * The text of an utterance so far, or, when it is over, all of it.
 *
 * @property endpoint where the utterance is in the stream, once it is over.
 * @property words of one that is over; their times count from the beginning of the stream.
 */
data class Heard(val text: String, val endpoint: Endpoint? = null, val words: List<Word> = emptyList()) {
    val over: Boolean get() = endpoint != null
}

/**
 * An endpointer whose utterances are no longer than a model takes.
 *
 * @param rules of which `longestSeconds` is lowered where the model takes less.
 * @param detector tells speech from silence, at the model's sample rate.
 */
fun endpointerFor(
    config: ModelConfig,
    rules: EndpointRules = EndpointRules(),
    detector: VoiceActivityDetector = EnergyDetector(config.features.sampleRate),
): Endpointer {
    val features = config.features
    val tail = if (config.tailFrames > 0) features.samplesOf(config.tailFrames) else 0
    val longest = config.maxSeconds - maxOf(tail, 2 * config.edgeSamples).toDouble() / features.sampleRate
    val held = rules.copy(longestSeconds = minOf(rules.longestSeconds, longest))
    return Endpointer(features.sampleRate, held, detector)
}

/**
 * Recognises speech as it comes from a microphone: chunks of samples in, what was heard out. Used by one thread at a time.
 *
 * While somebody speaks, the text so far is what [stream] gives, of a model that streams, whenever it is another one. The text of
 * an utterance that is over is what [Recognizer.transcribe] gives of its samples. Utterances in which nothing is said or
 * recognised are left out.
 *
 * @param recognizer of any model.
 * @param endpointer ends the utterances.
 * @param hotwords count in the text of an utterance that is over.
 * @param exit where the encoder is left for the text so far.
 * @param words whether an utterance that is over comes with its words; they take another run of the encoder.
 */
class Listener(
    private val recognizer: Recognizer,
    endpointer: Endpointer = endpointerFor(recognizer.config),
    private val hotwords: Hotwords? = null,
    exit: Int = recognizer.artifact.exits.lastIndex,
    private val words: Boolean = true,
) {
    private val sampleRate = recognizer.config.features.sampleRate
    private val least = recognizer.config.features.samplesOf(recognizer.config.framesPerStep)
    private val segmenter = Segmenter(sampleRate, endpointer)
    private val stream = if ("stream" in recognizer.artifact.signatures) recognizer.stream(exit) else null
    private val frames = FrameStream(recognizer)
    private var speaking = false // whether anything was said in the utterance so far
    private var told = "" // of its text so far

    /**
     * What is heard with [samples] more, of one channel from -1 to 1 at the model's rate; nothing of none. [InputError] for
     * samples that are NaN or were never scaled, which are left out.
     */
    fun accept(samples: FloatArray): List<Heard> {
        if (samples.isEmpty()) return emptyList()
        checkSamples(samples, "chunk")
        return pieces(samples, sampleRate).flatMap(::hear)
    }

    /** The same of a source that says its rate; [InputError] for another one than the model's. */
    fun accept(sound: Sound): List<Heard> {
        if (sound.sampleRate != sampleRate) {
            throw InputError("chunk: expected samples at $sampleRate Hz, got ${sound.sampleRate} Hz; resample them")
        }
        return accept(sound.samples)
    }

    /** The end of the stream: what is heard of the last utterance. The next samples begin another stream. */
    fun finish(): List<Heard> = ended(listOfNotNull(segmenter.finish()))

    private fun hear(piece: FloatArray): List<Heard> {
        val ended = segmenter.process(piece)
        if (ended.isEmpty()) speaking = segmenter.endpointer.speaking
        val soFar = soFar(piece)
        return if (ended.isEmpty()) soFar else soFar + ended(ended) + soFar(segmenter.unfinished)
    }

    /** The text so far, as often as it is another one with [samples] more. */
    private fun soFar(samples: FloatArray): List<Heard> =
        stream?.let { frames.accept(samples).mapNotNull { part -> news(it.accept(part)) } }.orEmpty()

    private fun news(text: String): Heard? = if (text == told || !speaking) null else Heard(text).also { told = text }

    /** The rest of the text so far, and the utterances that are over. */
    private fun ended(segments: List<SpeechSegment>): List<Heard> {
        val rest = stream?.let { frames.finish().map(it::accept) + it.finish() }.orEmpty().mapNotNull(::news)
        speaking = segmenter.endpointer.speaking
        told = ""
        return rest + segments.mapNotNull(::finished)
    }

    /** An utterance that is over; null where nothing is said in it. */
    private fun finished(segment: SpeechSegment): Heard? = synchronized(recognizer.model) { // text and words by the same weights
        val (samples, endpoint) = segment.samples to segment.endpoint
        if (endpoint.speechStartSeconds == null || samples.size < least) return null
        val text = recognizer.transcribe(samples, hotwords = hotwords)
        if (text.isEmpty()) return null
        if (!words) return Heard(text, endpoint)
        val start = endpoint.startSeconds
        val timed = recognizer.timedWords(recognizer.features(samples), text, samples)
        Heard(text, endpoint, timed.map { it.copy(startSeconds = start + it.startSeconds, endSeconds = start + it.endSeconds) })
    }
}
