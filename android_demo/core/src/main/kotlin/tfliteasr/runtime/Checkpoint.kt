package tfliteasr.runtime

import java.io.File
import java.io.IOException
import java.security.MessageDigest
import tfliteasr.InputError
import tfliteasr.StorageError

/*
 * What a phone saves after training: the tensors that differ from the shipped model, in a safetensors file that the Python
 * side reads and writes alike. The file's metadata, all of it text, says what it belongs to and proves it whole:
 *
 *     format           "1"
 *     artifact_sha256  of the `.tflite` file that was trained
 *     step             training steps taken so far
 *     digest           sha256 over all of the above and, in the order of their names, every tensor's name, dtype, shape
 *                      and bytes (see [digest])
 *
 * A file appears under its name complete or not at all, so a battery that runs out costs at most the last step.
 */

private const val FORMAT = "1"
private val KEYS = setOf("format", "artifact_sha256", "step", "digest")

/** Write a checkpoint in place of the previous one, which stays as it was if that fails. */
fun saveCheckpoint(path: File, tensors: Map<String, Tensor>, artifactSha256: String, step: Int) {
    checkFinite(tensors, "$path: not saved")
    val metadata = mapOf("format" to FORMAT, "artifact_sha256" to artifactSha256, "step" to step.toString())
    try {
        Safetensors(metadata + ("digest" to digest(metadata, tensors)), tensors).save(path)
    } catch (error: IOException) {
        throw StorageError("$path: could not save the checkpoint (${error.message}); what was there before is as it was", error)
    }
}

/** A checkpoint's tensors, and the training steps taken so far. */
class Checkpoint(val tensors: Map<String, Tensor>, val step: Int)

/**
 * Read a checkpoint, or say in one line why it is not to be used.
 *
 * @param expected every tensor that the model takes.
 * @param optional tensors that may be there; a dimension of -1 may have any size.
 */
fun loadCheckpoint(
    path: File,
    artifactSha256: String,
    expected: List<TensorSpec>,
    optional: List<TensorSpec> = emptyList(),
): Checkpoint {
    if (!path.isFile) throw InputError("$path: expected a checkpoint, found ${if (path.isDirectory) "a folder" else "no file"}")
    val file = try {
        reading({ it }) { Safetensors.read(path) { checkMetadata(path, it, artifactSha256) } }
    } catch (error: InputError) {
        if (error.message.orEmpty().startsWith("$path")) throw error
        throw InputError("$path: not a whole checkpoint (${error.message}); use an older one or none", error)
    }
    if (file.metadata["digest"] != digest(file.metadata, file.tensors)) {
        throw InputError("$path: the checkpoint is damaged, its digest does not match; use an older one or none")
    }
    checkNames(path, "lacks tensors", expected.map { it.name }.toSet() - file.tensors.keys)
    checkNames(path, "has unexpected tensors", file.tensors.keys - (expected + optional).map { it.name }.toSet())
    for (spec in expected + optional) {
        val tensor = file.tensors[spec.name] ?: continue
        val shape = IntArray(spec.shape.size) { if (spec.shape[it] < 0) tensor.shape.getOrElse(it) { 0 } else spec.shape[it] }
        val (wanted, found) = Tensor.kind(spec.dtype, shape) to tensor.kind()
        if (wanted != found) throw InputError("$path: expected ${spec.name} to be $wanted, got $found")
    }
    checkFinite(file.tensors, "$path: not usable")
    val step = file.metadata.getValue("step").toIntOrNull() ?: throw InputError("$path: its step is not a number")
    return Checkpoint(file.tensors, step)
}

private fun checkMetadata(path: File, metadata: Map<String, String>, artifactSha256: String) {
    if (metadata.keys != KEYS) throw InputError("$path: a safetensors file, but not a checkpoint of tflite_asr")
    if (metadata["format"] != FORMAT) {
        throw InputError(
            "$path: expected checkpoint format $FORMAT, got '${metadata["format"]}'; it was written by another version",
        )
    }
    val found = metadata.getValue("artifact_sha256")
    if (found != artifactSha256) {
        throw InputError(
            "$path: the checkpoint is of another model: expected ${artifactSha256.take(12)}, got ${found.take(12)}; " +
                "use it with the model it was trained from",
        )
    }
}

/**
 * sha256, hexadecimal, over UTF-8 lines that end with a line feed, and little-endian bytes in C order: format,
 * artifact_sha256 and step a line each; then for each tensor by name: its name, its dtype (float32), its shape (2,3; empty
 * for a scalar) a line each, and its bytes.
 */
private fun digest(metadata: Map<String, String>, tensors: Map<String, Tensor>): String {
    val digest = MessageDigest.getInstance("SHA-256")
    for (key in listOf("format", "artifact_sha256", "step")) digest.update("${metadata[key]}\n".toByteArray())
    for ((name, tensor) in tensors.toSortedMap()) {
        digest.update("$name\n${tensor.dtype.code}\n${tensor.shape.joinToString(",")}\n".toByteArray())
        digest.update(tensor.bytes())
    }
    return hexadecimal(digest.digest())
}

private fun checkFinite(tensors: Map<String, Tensor>, problem: String) {
    val bad = tensors.filterValues { tensor -> tensor.dtype == DType.FLOAT32 && !allFinite(tensor) }.keys
    if (bad.isNotEmpty()) {
        throw InputError("$problem: values that are not finite in ${listed(bad)}; train with a smaller step size")
    }
}

private fun allFinite(tensor: Tensor): Boolean {
    val floats = tensor.bytes().asFloatBuffer()
    while (floats.hasRemaining()) if (!floats.get().isFinite()) return false
    return true
}

private fun checkNames(path: File, problem: String, names: Set<String>) {
    if (names.isNotEmpty()) throw InputError("$path: the checkpoint $problem (${names.size}): ${listed(names)}")
}

private fun listed(names: Set<String>): String = names.sorted().take(3).joinToString() + if (names.size > 3) ", ..." else ""
