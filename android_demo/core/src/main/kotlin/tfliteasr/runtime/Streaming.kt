package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.audio.checkSamples

/**
 * Recognise an utterance as it comes, greedily, by the first pass alone.
 *
 * @param exit where the encoder is left, counted from 0. [InputError] for one that is not there, and for a model whose encoder
 *     needs the whole utterance.
 */
fun Recognizer.stream(exit: Int = artifact.exits.lastIndex): TextStream = TextStream(this, at(exit)) { Greedy() }

/**
 * Recognise an utterance as it comes, by beam search; at its end the second pass chooses among the n-best. [InputError] for a
 * model that does not stream, or whose second pass does not rescore.
 */
fun Recognizer.streamTwoPass(rescoring: Rescoring = artifact.rescoring, hotwords: Hotwords? = null): TextStream =
    TextStream(this, at(artifact.exits.lastIndex)) { Rescored(TwoPasses(model, artifact, config, first(hotwords)), rescoring) }

/**
 * Utterances that are recognised as they come, one after the other: chunks of any size in, the text so far out. With the learned
 * weights: who speaks is not known before the end. Used by one thread at a time; other threads may use the recogniser between two
 * chunks.
 *
 * @param exit the input that says where to leave, of a model with early exits.
 * @param begin makes what takes labels out of an utterance.
 */
class TextStream internal constructor(
    private val recognizer: Recognizer,
    exit: Map<String, Tensor>,
    private val begin: () -> Labelling,
) {
    private val encoder = EncoderStream(recognizer, exit)
    private val frames = FrameStream(recognizer)
    private var labelling = begin()
    private var hasSamples = false

    /** Labels of the utterance so far; behind its end all of them, until the next chunk. */
    var tokens: List<Int> = emptyList()
        private set

    /** The text with [frames] [any, width] more; they count once they fill a chunk of the model's. */
    fun accept(frames: Frames): String {
        encoder.accept(frames).forEach(labelling::advance)
        return text(labelling.tokens)
    }

    /** The text with [samples] more, in [-1, 1] at the model's rate; an utterance is of frames or of samples. */
    fun accept(samples: FloatArray): String {
        if (samples.isNotEmpty()) {
            checkSamples(samples, "chunk")
            hasSamples = true
            frames.accept(samples).forEach(::accept)
        }
        return text(labelling.tokens)
    }

    /** All of the text, empty where nothing is said; what comes next begins another utterance. */
    fun finish(): String {
        if (hasSamples) frames.finish().forEach(::accept)
        encoder.finish()?.let(labelling::advance)
        val all = labelling.final()
        labelling = begin()
        hasSamples = false
        return text(all)
    }

    private fun text(labels: List<Int>): String {
        tokens = labels.toList()
        return recognizer.tokenizer.decode(tokens)
    }
}

/** Takes the labels of an utterance out of what `stream` gives for its chunks. */
internal interface Labelling {
    /** So far. */
    val tokens: List<Int>

    fun advance(result: Map<String, Tensor>)

    /** Of the whole utterance. */
    fun final(): List<Int>
}

private class Greedy : Labelling {
    override val tokens = ArrayList<Int>()

    override fun advance(result: Map<String, Tensor>) {
        tokens += result.getValue("tokens").ints().take(result.getValue("token_lengths").int(0))
    }

    override fun final() = tokens
}

private class Rescored(private val passes: TwoPasses, private val rescoring: Rescoring) : Labelling {
    override val tokens get() = passes.nbest()[0].tokens

    override fun advance(result: Map<String, Tensor>) = passes.advance(result)

    override fun final() = checkNotNull(rescoring.best(passes.candidates())).tokens
}

/** The signature `stream`, which is handed what it remembers: frames in chunks of any size in, results out. */
private class EncoderStream(recognizer: Recognizer, private val exit: Map<String, Tensor>) {
    private val model = recognizer.model
    private val artifact = recognizer.artifact
    private val config = recognizer.config
    private val size = config.sizes.streamFrames
    private val width = config.features.width
    private val beginning = beginning()
    private var remembered = beginning
    private var waiting = Frames(FloatArray(0), width) // fewer than a chunk of the model's

    /** Results for the chunks of the model's that are full with [frames] more. */
    fun accept(frames: Frames): List<Map<String, Tensor>> {
        checkFrames(frames, width, "chunk")
        val all = Frames(waiting.values + frames.values, width)
        val chunks = all.length / size
        waiting = all.part(chunks * size, all.length)
        return List(chunks) { run(all.part(it * size, (it + 1) * size)) }
    }

    /** The result for the frames that are left, null where there are none. What comes next begins another utterance. */
    fun finish(): Map<String, Tensor>? {
        val result = if (waiting.length > 0) run(waiting) else null
        waiting = Frames(FloatArray(0), width)
        remembered = beginning
        return result
    }

    private fun run(chunk: Frames): Map<String, Tensor> {
        val result = model.run("stream", paddedFrames(chunk, size, width) + exit + remembered)
        remembered = remembered.mapValues { result.getValue(it.key) }
        return result
    }

    /** What `stream` remembers before the first chunk. */
    private fun beginning(): Map<String, Tensor> {
        val signature = artifact.signatures["stream"]
            ?: throw InputError("${artifact.path}: its encoder needs the whole utterance; transcribe without streaming")
        val zeros = signature.inputs.filter { it.name !in listOf("frames", "frame_lengths", "exit") }
            .associate { it.name to Tensor(it.dtype, it.shape.toIntArray()) }
        if (config.prediction == null) return zeros
        val start = BeamSearch(model, config).start()
        val labels = mapOf("predicted" to start.predicted, "hidden" to start.hidden, "cell" to start.cell)
        return zeros + labels.mapValues { (_, row) -> Tensor.floats(1, row.size).put(0, row) }
    }
}

/**
 * Log-mel frames of samples as they come, at most `sizes.streamFrames` at a time.
 *
 * Together they are the frames that [Recognizer.features] makes of the whole, the silence at its end among them.
 */
internal class FrameStream(private val recognizer: Recognizer) {
    private val features = recognizer.config.features
    private val size = recognizer.config.sizes.streamFrames
    private val taken = size * features.hopSamples
    private val needed = features.samplesOf(size)
    private var waiting = FloatArray(0)

    /** Frames [streamFrames, mel bands], as often as [samples] more complete them. */
    fun accept(samples: FloatArray): List<Frames> {
        val all = waiting + samples
        val count = if (all.size < needed) 0 else (all.size - needed) / taken + 1
        waiting = all.copyOfRange(count * taken, all.size)
        return List(count) { recognizer.features(all.copyOfRange(it * taken, it * taken + needed)).first(size) }
    }

    /** The frames that are left, of the silence at the end too. What comes next begins another utterance. */
    fun finish(): List<Frames> {
        val all = waiting + FloatArray(recognizer.config.tailFrames * features.hopSamples)
        waiting = FloatArray(0)
        return (all.indices step taken)
            .map { all.copyOfRange(it, minOf(it + needed, all.size)) }
            .filter { features.framesOf(it.size) > 0 }
            .map { recognizer.features(it).first(features.framesOf(it.size)) }
    }
}
