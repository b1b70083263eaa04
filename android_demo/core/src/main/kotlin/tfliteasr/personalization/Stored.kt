package tfliteasr.personalization

import java.io.File
import java.security.MessageDigest
import kotlin.math.abs
import kotlin.math.round
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.DType
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.FrontEnd
import tfliteasr.runtime.Safetensors
import tfliteasr.runtime.StemConfig
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.hexadecimal
import tfliteasr.runtime.reading

/*
 * Utterances on disk as features of eight bits a value and tokens: small, and not to be listened to.
 *
 * The file is safetensors; its metadata proves it whole: `digest` is the sha256 over the bytes of its tensors in the order of
 * their names.
 */

private const val SCALE = 24f // log-mel frames are within about +-4 deviations; one step of the eight bits is 1/24 deviation
private const val LEVELS = 127f

/** The content of a file that holds these utterances, whose frames a front end made: a stem's with a scale a channel. */
internal fun packed(examples: List<Example>, features: FrontEnd): Safetensors {
    require(examples.isNotEmpty()) { "expected at least one utterance to store" }
    val width = features.width
    val stem = features is StemConfig
    val scales = if (stem) channelScales(examples, width) else FloatArray(width) { SCALE }
    val tensors = mapOf(
        "frames" to Tensor(DType.INT8, intArrayOf(examples.sumOf { it.frames.length }, width)).also { frames ->
            val bytes = frames.bytes()
            for (example in examples) {
                example.frames.values.forEachIndexed { at, value -> bytes.put(quantized(value * scales[at % width])) }
            }
        },
        "frame_lengths" to Tensor.ints(examples.size).put(0, IntArray(examples.size) { examples[it].frames.length }),
        "tokens" to Tensor.ints(examples.sumOf { it.tokens.size }).put(0, examples.flatMap { it.tokens.asList() }.toIntArray()),
        "token_lengths" to Tensor.ints(examples.size).put(0, IntArray(examples.size) { examples[it].tokens.size }),
    )
    val scaled = if (stem) mapOf("frame_scales" to Tensor.floats(width).put(0, scales)) else emptyMap()
    val weights = IntArray(examples.size) { examples[it].weight }
    val weighed = if (weights.all { it == 1 }) emptyMap() else mapOf("weights" to Tensor.ints(weights.size).put(0, weights))
    val all = tensors + scaled + weighed
    return Safetensors(mapOf("digest" to digest(all)), all)
}

private fun channelScales(examples: List<Example>, width: Int): FloatArray {
    val top = FloatArray(width) { 1e-6f }
    for (example in examples) {
        example.frames.values.forEachIndexed { at, value -> top[at % width] = maxOf(top[at % width], abs(value)) }
    }
    return FloatArray(width) { LEVELS / top[it] }
}

/** The utterances of a file; [InputError], ending in the [remedy], unless it is whole and fits the artifact. */
internal fun readStored(path: File, artifact: Artifact, remedy: String): List<Example> = try {
    val file = reading({ it }) { Safetensors.read(path) }
    if (file.metadata["digest"] != digest(file.tensors)) throw InputError("its digest does not match")
    val width = artifact.config.features.width
    val frames = tensor(file, "frames", DType.INT8)
    if (frames.shape.size != 2 || frames.shape[1] != width) throw InputError("expected frames of $width values")
    val tokens = tensor(file, "tokens", DType.INT32).ints()
    val frameLengths = lengths(file, "frame", artifact.config.sizes.maxFrames, frames.shape[0])
    val tokenLengths = lengths(file, "token", artifact.config.maxLabels, tokens.size)
    if (frameLengths.size != tokenLengths.size) throw InputError("expected a transcript for each utterance")
    val scales = scales(file, artifact.config.features)
    val weights = weights(file, frameLengths.size)
    val bytes = frames.bytes()
    var firstToken = 0
    frameLengths.indices.map { index ->
        val values = FloatArray(frameLengths[index] * width) { bytes.get() / scales[it % width] }
        val ids = tokens.copyOfRange(firstToken, firstToken + tokenLengths[index])
        firstToken += ids.size
        val text = artifact.labels.decode(ids.asIterable())
        Example(Frames(values, width), ids, text, "${path.name}, utterance $index", weights[index])
    }
} catch (error: InputError) {
    throw InputError("$path: not a file of stored utterances (${error.message}); $remedy", error)
}

private fun scales(file: Safetensors, features: FrontEnd): FloatArray {
    if (features !is StemConfig) return FloatArray(features.width) { SCALE }
    val scales = tensor(file, "frame_scales", DType.FLOAT32).floats()
    if (scales.size != features.width || scales.any { !it.isFinite() || it <= 0 }) {
        throw InputError("expected ${features.width} scales of frames above 0")
    }
    return scales
}

private fun weights(file: Safetensors, count: Int): IntArray {
    if ("weights" !in file.tensors) return IntArray(count) { 1 }
    val weights = tensor(file, "weights", DType.INT32).ints()
    if (weights.size != count || weights.any { it < 1 }) throw InputError("expected weights of 1 or more")
    return weights
}

private fun tensor(file: Safetensors, name: String, dtype: DType): Tensor =
    file.tensors[name]?.takeIf { it.dtype == dtype } ?: throw InputError("expected $name of ${dtype.code}")

private fun lengths(file: Safetensors, what: String, most: Int, total: Int): IntArray {
    val lengths = tensor(file, "${what}_lengths", DType.INT32).ints()
    if (lengths.isEmpty() || lengths.any { it !in 1..most } || lengths.sum() != total) {
        throw InputError("expected utterances of 1 to $most ${what}s")
    }
    return lengths
}

private fun quantized(value: Float): Byte = round(value).coerceIn(-LEVELS, LEVELS).toInt().toByte()

private fun digest(tensors: Map<String, Tensor>): String {
    val digest = MessageDigest.getInstance("SHA-256")
    for (tensor in tensors.toSortedMap().values) digest.update(tensor.bytes())
    return hexadecimal(digest.digest())
}
