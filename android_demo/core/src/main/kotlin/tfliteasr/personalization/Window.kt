package tfliteasr.personalization

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example

/**
 * What a phone keeps of its owner's speech when audio is not to be kept: the newest utterances as features (Sim et al.
 * 2019: a sliding window over the user's data), within a number and within bytes on disk.
 *
 * A folder of numbered files, one utterance each; the oldest is forgotten before a new one is stored. What an earlier process
 * left in the folder is gone on with.
 *
 * @param folder made if need be; holds nothing else.
 */
class Window(private val folder: File, private val artifact: Artifact, private val mostUtterances: Int, private val mostBytes: Long) {
    init {
        val batch = artifact.config.sizes.batch
        if (mostUtterances < batch) {
            throw InputError("window: expected room for a batch of $batch utterances or more, got $mostUtterances")
        }
        if (!folder.isDirectory && !folder.mkdirs()) throw StorageError("$folder: could not be made; is the storage full?")
        // of a process that was killed while it wrote
        folder.listFiles().orEmpty().filter { it.name.startsWith(".") && it.name.endsWith("$SUFFIX.tmp") }.forEach { it.delete() }
        forgetUntil(mostUtterances, mostBytes)
    }

    /** Of the utterances that are kept, the oldest first; the first that ever came is 0. */
    val numbers: List<Int> get() = folder.list().orEmpty().mapNotNull { it.removeSuffix(SUFFIX).toIntOrNull() }.sorted()

    /** How many utterances have come so far, forgotten ones among them. */
    val arrived: Int get() = (numbers.lastOrNull() ?: -1) + 1

    /** Store an utterance; [InputError] when it is larger than the window, or the disk refuses. */
    fun add(example: Example) {
        val content = packed(listOf(example), artifact.config.features)
        if (content.bytes > mostBytes) {
            throw InputError(
                "${example.where.ifEmpty { "utterance" }}: expected at most the window's $mostBytes bytes, " +
                    "it has ${content.bytes}; give the window more",
            )
        }
        val number = arrived
        forgetUntil(mostUtterances - 1, mostBytes - content.bytes)
        try {
            content.save(path(number))
        } catch (error: IOException) {
            throw StorageError("${path(number)}: could not store an utterance (${error.message}); is the storage full?", error)
        }
    }

    /** An utterance that is kept. */
    fun read(number: Int): Example = readStored(path(number), artifact, "delete it").single()

    /** Delete an utterance; [InputError] when it is not kept. */
    fun forget(number: Int) {
        if (number !in numbers) throw InputError("window: expected an utterance that is kept, got number $number")
        path(number).delete()
    }

    /** Delete every utterance. */
    fun forgetAll() = forgetUntil(0, 0)

    fun diskBytes(): Long = folder.listFiles().orEmpty().sumOf { it.length() }

    private fun forgetUntil(utterances: Int, bytes: Long) {
        val kept = ArrayDeque(numbers)
        while (kept.isNotEmpty() && (kept.size > utterances || kept.sumOf { path(it).length() } > bytes)) {
            path(kept.removeFirst()).delete()
        }
    }

    private fun path(number: Int): File = folder.resolve(number.toString().padStart(8, '0') + SUFFIX)

    private companion object {
        const val SUFFIX = ".safetensors"
    }
}
