package tfliteasr.android

import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.TooNewError
import tfliteasr.runtime.Artifact
import tfliteasr.writeAll
import tfliteasr.writeAtomically

/**
 * The model that the app ships among its assets, and one that the owner opened; copied to files that the runtime can map.
 *
 * @param shipped the name of the assets SHIPPED.tflite, SHIPPED.json and, if there is one, SHIPPED.replay.safetensors.
 */
class ModelStore(private val context: Context, private val runtime: ModelRuntime, val shipped: String) {
    private val copied = context.noBackupFilesDir.resolve("model")
    private val opened = context.noBackupFilesDir.resolve("opened")
    private val opening = context.noBackupFilesDir.resolve("opening")
    private val chosen = context.noBackupFilesDir.resolve("opened.chosen") // there while the opened one is used

    /** The name of the model that was opened; null when none was. */
    val openedName: String? get() = tfliteIn(opened)?.nameWithoutExtension

    /** Whether the opened model is used, rather than the shipped one. */
    var usesOpened: Boolean
        get() = chosen.exists() && openedName != null
        set(value) {
            if (value) chosen.writeText("") else chosen.delete()
        }

    /** The artifact that is used. */
    fun artifact(): Artifact = tfliteIn(opened)?.takeIf { usesOpened }?.let(Artifact::read) ?: shippedArtifact()

    /** Copied again when another version of the app brought another one or the copy is damaged. */
    private fun shippedArtifact(): Artifact {
        val tflite = copied.resolve("$shipped.tflite")
        val description = context.assets.open("$shipped.json").use { it.readBytes() }
        val known = copied.resolve("$shipped.json")
        if (!known.exists() || !known.readBytes().contentEquals(description)) copyAll()
        return try {
            Artifact.read(tflite)
        } catch (_: InputError) {
            copyAll()
            Artifact.read(tflite)
        }
    }

    /** The description last, so that a copy that was broken off is taken up again. */
    private fun copyAll() {
        copied.mkdirs()
        val there = context.assets.list("").orEmpty().toSet()
        for (name in listOf("$shipped.tflite", "$shipped.replay.safetensors", "$shipped.json").filter { it in there }) {
            val bytes = context.assets.open(name).use { it.readBytes() }
            writeAtomically(copied.resolve(name)) { writeAll(it, ByteBuffer.wrap(bytes)) }
        }
    }

    /**
     * Copy a model's files, check them and use them from now on; the model that was used stays when they are refused.
     *
     * @param documents NAME.tflite, NAME.json and, if there is one, NAME.replay.safetensors, as the owner chose them.
     */
    fun open(documents: List<Uri>): Opening = try {
        opening.deleteRecursively()
        opening.mkdirs()
        checked(documents) ?: use()
    } catch (_: TooNewError) {
        Opening.TOO_NEW
    } catch (_: StorageError) {
        Opening.NO_ROOM
    } catch (_: InputError) {
        Opening.NOT_A_MODEL
    } catch (_: SecurityException) { // the permission was taken away
        Opening.NOT_READABLE
    } catch (_: IOException) {
        if (opening.usableSpace < LEAST_ROOM) Opening.NO_ROOM else Opening.NOT_READABLE
    } finally {
        opening.deleteRecursively()
    }

    private fun checked(documents: List<Uri>): Opening? {
        val named = documents.associateBy(::nameOf)
        val tflite = named.keys.singleOrNull { it.endsWith(".tflite") } ?: return notAPair(named.keys)
        val name = tflite.removeSuffix(".tflite")
        if ("$name.json" !in named) return Opening.INCOMPLETE
        for (suffix in listOf(".tflite", ".json", ".replay.safetensors")) {
            named["$name$suffix"]?.let { copy(it, opening.resolve("$name$suffix")) }
        }
        val artifact = Artifact.read(opening.resolve(tflite))
        return try {
            runtime.open(artifact.path, threads = 1).close()
            null
        } catch (_: InputError) {
            Opening.CANNOT_RUN
        }
    }

    /** One file of a pair is [Opening.INCOMPLETE]; a photo is no model. */
    private fun notAPair(names: Set<String>): Opening =
        if (names.any { it.endsWith(".json") || it.endsWith(".tflite") }) Opening.INCOMPLETE else Opening.NOT_A_MODEL

    private fun use(): Opening {
        opened.deleteRecursively()
        if (!opening.renameTo(opened)) throw StorageError("$opened: could not be made; is the storage full?")
        usesOpened = true
        return Opening.OPENED
    }

    /** As the provider shows it to the owner; without its folders. */
    private fun nameOf(document: Uri): String {
        val columns = arrayOf(OpenableColumns.DISPLAY_NAME)
        val shown = context.contentResolver.query(document, columns, null, null, null)?.use { rows ->
            if (rows.moveToFirst() && !rows.isNull(0)) rows.getString(0) else null
        }
        return (shown ?: document.lastPathSegment.orEmpty()).substringAfterLast('/')
    }

    private fun copy(document: Uri, to: File) {
        val input = context.contentResolver.openInputStream(document) ?: throw IOException("$document: cannot be opened")
        input.use { from -> to.outputStream().use { from.copyTo(it) } }
    }

    private fun tfliteIn(folder: File): File? = folder.listFiles().orEmpty().firstOrNull { it.name.endsWith(".tflite") }

    private companion object {
        const val LEAST_ROOM = 64_000_000L
    }
}
