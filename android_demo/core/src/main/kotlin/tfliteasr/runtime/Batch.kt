package tfliteasr.runtime

import tfliteasr.InputError

/** Frames of an utterance, [length] rows of [width] values, one after another: log-mel bands, or what a stem makes. */
class Frames(val values: FloatArray, val width: Int) {
    val length: Int get() = values.size / width

    fun at(frame: Int, band: Int): Float = values[frame * width + band]

    fun first(frames: Int): Frames = part(0, frames)

    /** Frames from number [from] on, before number [to]. */
    fun part(from: Int, to: Int): Frames = Frames(values.copyOfRange(from * width, to * width), width)

    init {
        require(values.size % width == 0) { "expected rows of $width values, got ${values.size} values" }
    }
}

/** One utterance of a training step: an [Example], or a [CachedExample]. */
sealed interface Row {
    val frameCount: Int

    /** The labels of its transcript. */
    val tokens: IntArray

    /** For error messages. */
    val where: String
}

/**
 * One utterance, ready to train on or to be measured.
 *
 * @property text what was said, as the tokenizer spells it.
 * @property where for error messages.
 * @property weight how often it is trained on where others are once; more for a correction.
 */
class Example(
    val frames: Frames,
    override val tokens: IntArray,
    val text: String,
    override val where: String = "",
    val weight: Int = 1,
) : Row {
    override val frameCount: Int get() = frames.length

    /** The same with another weight. */
    fun weighing(weight: Int): Example = Example(frames, tokens, text, where, weight)
}

/**
 * The inputs of `train` and `loss`: rows past the examples are empty.
 *
 * @return frames [batch, max_frames, width] float32, frame_lengths [batch] int32, tokens [batch, max_labels] int32,
 *     token_lengths [batch] int32.
 */
fun collate(examples: List<Example>, config: ModelConfig): Map<String, Tensor> {
    val sizes = config.sizes
    val width = config.features.width
    val labels = collateLabels(examples, config)
    val frames = Tensor.floats(sizes.batch, sizes.maxFrames, width)
    val frameLengths = IntArray(sizes.batch)
    for ((row, example) in examples.withIndex()) {
        frames.put(row * sizes.maxFrames * width, example.frames.values)
        frameLengths[row] = example.frames.length
    }
    return mapOf("frames" to frames, "frame_lengths" to Tensor.ints(sizes.batch).put(0, frameLengths)) + labels
}

/** The inputs that hold the transcripts: tokens [batch, max_labels] int32, token_lengths [batch] int32. */
internal fun collateLabels(examples: List<Row>, config: ModelConfig): Map<String, Tensor> {
    val sizes = config.sizes
    if (examples.size !in 1..sizes.batch) {
        throw InputError("expected 1 to ${sizes.batch} utterances a batch, got ${examples.size}")
    }
    val tokens = Tensor.ints(sizes.batch, config.maxLabels)
    val tokenLengths = IntArray(sizes.batch)
    for ((row, example) in examples.withIndex()) {
        checkLength(example, row, "frames", example.frameCount, sizes.maxFrames)
        checkLength(example, row, "tokens", example.tokens.size, config.maxLabels)
        checkTokens(example, row, config.labelBound)
        tokens.put(row * config.maxLabels, example.tokens)
        tokenLengths[row] = example.tokens.size
    }
    return mapOf("tokens" to tokens, "token_lengths" to Tensor.ints(sizes.batch).put(0, tokenLengths))
}

/** The configuration with the smallest sizes that hold a batch of [examples]. */
fun sizedFor(examples: List<Row>, config: ModelConfig): ModelConfig =
    config.shortest(examples.maxOfOrNull { it.frameCount } ?: 0, examples.maxOfOrNull { it.tokens.size } ?: 0)

private fun checkLength(example: Row, row: Int, what: String, length: Int, most: Int) {
    if (length !in 1..most) {
        throw InputError("${place(example, row)}: expected 1 to $most $what, got $length")
    }
}

/** [InputError] unless frames have the model's [width] and are finite. */
internal fun checkFrames(frames: Frames, width: Int, where: String) {
    if (frames.width != width) throw InputError("$where: expected frames of $width values, got ${frames.width}")
    if (!frames.values.all { it.isFinite() }) throw InputError("$where: expected finite frames, some are NaN or infinite")
}

private fun checkTokens(example: Row, row: Int, labelBound: Int) {
    val wrong = example.tokens.indexOfFirst { it !in 1 until labelBound }
    if (wrong >= 0) {
        val token = example.tokens[wrong]
        val expected = "expected tokens from 1 to ${labelBound - 1}"
        throw InputError("${place(example, row)}: $expected, got $token at place ${wrong + 1}")
    }
}

/** An example, for error messages. */
private fun place(example: Row, row: Int): String = example.where.ifEmpty { "utterance ${row + 1} of the batch" }

/** One utterance's inputs: frames [1, size, width], frame_lengths [1] int32. */
fun paddedFrames(frames: Frames, size: Int, width: Int): Map<String, Tensor> {
    if (frames.length > size || frames.width != width) {
        throw InputError("expected frames of at most $size x $width, got ${frames.length} x ${frames.width}")
    }
    checkFrames(frames, width, "frames")
    return mapOf(
        "frames" to Tensor.floats(1, size, width).put(0, frames.values),
        "frame_lengths" to Tensor.ints(1).put(0, intArrayOf(frames.length)),
    )
}
