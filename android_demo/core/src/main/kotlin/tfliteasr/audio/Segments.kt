package tfliteasr.audio

private const val PIECE_SECONDS = 0.1 // what an endpointer is given at a time

/** An utterance of a stream: its samples, and where in the stream it is. */
class SpeechSegment(val samples: FloatArray, val endpoint: Endpoint)

/**
 * Cuts utterances out of a stream of samples, in memory that does not grow with the stream.
 *
 * @param endpointer ends the utterances.
 */
class Segmenter(private val sampleRate: Int, val endpointer: Endpointer = Endpointer(sampleRate)) {
    /** Samples since the last endpoint. */
    var unfinished = FloatArray(0)
        private set
    private var first = 0L // where in the stream these begin

    /** The utterances, those without speech among them, that are over with [samples] more. */
    fun process(samples: FloatArray): List<SpeechSegment> {
        unfinished += samples
        return endpointer.process(samples).map(::cut)
    }

    /** The last utterance, when the stream ends; null where nothing was said since the last endpoint. */
    fun finish(): SpeechSegment? {
        val segment = endpointer.finish()?.let(::cut)
        unfinished = FloatArray(0)
        first = 0
        return segment
    }

    private fun cut(endpoint: Endpoint): SpeechSegment {
        val (start, end) = listOf(endpoint.startSeconds, endpoint.endSeconds).map { (Math.rint(it * sampleRate) - first).toInt() }
        val samples = unfinished.copyOfRange(start, end)
        unfinished = unfinished.copyOfRange(end, unfinished.size)
        first += end
        return SpeechSegment(samples, endpoint)
    }
}

/** The same samples in pieces of a tenth of a second at most. */
internal fun pieces(samples: FloatArray, sampleRate: Int): List<FloatArray> {
    val size = Math.rint(PIECE_SECONDS * sampleRate).toInt()
    return samples.indices.step(size).map { samples.copyOfRange(it, minOf(it + size, samples.size)) }
}
