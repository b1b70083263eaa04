package tfliteasr.personalization

import java.io.File
import java.nio.file.Files
import tfliteasr.runtime.CACHED
import tfliteasr.runtime.CachedExample
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Row

/**
 * Batches of the plan `cached`: each augmented version of an utterance goes through the lower groups once. What they put out is
 * in files, which [close] deletes.
 *
 * @param recognizer whose lower groups do not change meanwhile.
 */
class CachedBatches(private val recognizer: Recognizer) : AutoCloseable {
    val folder: File = Files.createTempDirectory("tflite_asr-").toFile()
    private val rows = HashMap<Any, List<CachedExample>>()

    /** The utterances of a [key], made and computed the first time it is asked for. */
    fun rows(key: Any, make: () -> List<Example>): List<CachedExample> =
        rows.getOrPut(key) { recognizer.cache(make(), folder = folder) }

    /** Of all that is stored. */
    val bytes: Long get() = rows.values.sumOf { some -> some.sumOf { it.bytes } }

    override fun close() {
        folder.deleteRecursively()
    }
}

/** [block] with the cached batches of a training with the plan `cached`, with null for any other. */
internal fun <T> withCachedBatches(recognizer: Recognizer, settings: Settings, block: (CachedBatches?) -> T): T =
    if (settings.plan.startsWith(CACHED)) CachedBatches(recognizer).use(block) else block(null)

/** The rows of a [key], from the cache where there is one. */
internal fun rowsOf(cached: CachedBatches?, key: Any, make: () -> List<Example>): List<Row> = cached?.rows(key, make) ?: make()
