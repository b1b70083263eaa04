package tfliteasr.android

import android.content.Context
import android.util.Log
import java.io.File
import tfliteasr.InputError
import tfliteasr.personalization.CHECKPOINT
import tfliteasr.personalization.STATE
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.modelOf

/**
 * The recogniser with what its owner taught it, and the files of that: a folder for each model. Used by one thread.
 *
 * @param onUnreadable told when what was learned cannot be read.
 */
internal class Learned(
    context: Context,
    private val store: ModelStore,
    private val runtime: ModelRuntime,
    private val threads: Int,
    private val onUnreadable: () -> Unit,
) {
    private val all = context.noBackupFilesDir.resolve("learned")
    private var current: Recognizer? = null

    /** Of the model that is used; made if need be. */
    fun folder(artifact: Artifact): File = all.resolve(artifact.tfliteSha256.take(DIGITS)).also { it.mkdirs() }

    private fun checkpoint(artifact: Artifact) = folder(artifact).resolve(CHECKPOINT)

    /** What was learned for all models, on disk. */
    fun bytes(): Long = all.walk().filter { it.name == CHECKPOINT }.sumOf { it.length() }

    /** The recogniser with what was learned. What cannot be read is set aside, so that it is not met again. */
    fun recognizer(): Recognizer = current ?: open().also { opened ->
        current = opened
        val checkpoint = checkpoint(opened.artifact)
        if (!checkpoint.exists()) return@also
        try {
            opened.restore(checkpoint)
        } catch (error: InputError) {
            Log.w("Learned", error)
            checkpoint.renameTo(checkpoint.resolveSibling("unreadable.safetensors"))
            checkpoint.resolveSibling(STATE).delete() // of training that led to it
            onUnreadable()
        }
    }

    /** A recogniser with the weights that were shipped. */
    fun open(): Recognizer {
        val artifact = store.artifact()
        return Recognizer(artifact, modelOf(artifact) { runtime.open(artifact.path, threads, it) })
    }

    fun save() = recognizer().let { it.save(checkpoint(it.artifact)) }

    /** The next recogniser is a fresh one, with what the checkpoint holds, if there is one. */
    fun close() {
        current?.close()
        current = null
    }

    /** Delete what was learned for all models. */
    fun delete() {
        close()
        if (all.exists() && !all.deleteRecursively()) throw InputError("$all: could not be deleted whole")
    }

    private companion object {
        const val DIGITS = 16
    }
}
