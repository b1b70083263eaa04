package tfliteasr.personalization

import java.io.File
import java.security.MessageDigest
import kotlin.math.round
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.DType
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Safetensors
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.hexadecimal
import tfliteasr.runtime.reading

/*
 * Utterances on disk as features of eight bits a value and tokens: small, and not to be listened to.
 *
 * The file is safetensors; its metadata proves it whole: `digest` is the sha256 over the bytes of its tensors in the order of
 * their names.
 */

private const val SCALE = 24f // features are within about +-4 deviations; one step of the eight bits is 1/24 deviation

/** The content of a file that holds these utterances. */
internal fun packed(examples: List<Example>): Safetensors {
    require(examples.isNotEmpty()) { "expected at least one utterance to store" }
    val bands = examples[0].frames.melBands
    val tensors = mapOf(
        "frames" to Tensor(DType.INT8, intArrayOf(examples.sumOf { it.frames.length }, bands)).also { frames ->
            val bytes = frames.bytes()
            for (example in examples) for (value in example.frames.values) bytes.put(quantized(value))
        },
        "frame_lengths" to Tensor.ints(examples.size).put(0, IntArray(examples.size) { examples[it].frames.length }),
        "tokens" to Tensor.ints(examples.sumOf { it.tokens.size }).put(0, examples.flatMap { it.tokens.asList() }.toIntArray()),
        "token_lengths" to Tensor.ints(examples.size).put(0, IntArray(examples.size) { examples[it].tokens.size }),
    )
    return Safetensors(mapOf("digest" to digest(tensors)), tensors)
}

/** The utterances of a file; [InputError], ending in the [remedy], unless it is whole and fits the artifact. */
internal fun readStored(path: File, artifact: Artifact, remedy: String): List<Example> = try {
    val file = reading({ it }) { Safetensors.read(path) }
    if (file.metadata["digest"] != digest(file.tensors)) throw InputError("its digest does not match")
    val bands = artifact.config.features.melBands
    val frames = tensor(file, "frames", DType.INT8)
    if (frames.shape.size != 2 || frames.shape[1] != bands) throw InputError("expected frames of $bands mel bands")
    val tokens = tensor(file, "tokens", DType.INT32).ints()
    val frameLengths = lengths(file, "frame", artifact.config.sizes.maxFrames, frames.shape[0])
    val tokenLengths = lengths(file, "token", artifact.config.sizes.maxTokens, tokens.size)
    if (frameLengths.size != tokenLengths.size) throw InputError("expected a transcript for each utterance")
    val bytes = frames.bytes()
    var firstToken = 0
    frameLengths.indices.map { index ->
        val values = FloatArray(frameLengths[index] * bands) { bytes.get() / SCALE }
        val ids = tokens.copyOfRange(firstToken, firstToken + tokenLengths[index])
        firstToken += ids.size
        Example(Frames(values, bands), ids, artifact.tokenizer.decode(ids.asIterable()), "${path.name}, utterance $index")
    }
} catch (error: InputError) {
    throw InputError("$path: not a file of stored utterances (${error.message}); $remedy", error)
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

private fun quantized(value: Float): Byte = round(value * SCALE).coerceIn(-127f, 127f).toInt().toByte()

private fun digest(tensors: Map<String, Tensor>): String {
    val digest = MessageDigest.getInstance("SHA-256")
    for (tensor in tensors.toSortedMap().values) digest.update(tensor.bytes())
    return hexadecimal(digest.digest())
}
