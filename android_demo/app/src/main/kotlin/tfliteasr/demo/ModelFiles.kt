package tfliteasr.demo

import android.content.Context
import java.io.File
import java.nio.ByteBuffer
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.writeAll
import tfliteasr.writeAtomically

/** The artifact of the app, copied once from its assets to files that the runtime can map. */
class ModelFiles(private val context: Context) {
    private val folder = context.noBackupFilesDir.resolve("model")

    /** The artifact, copied again when another version of the app brought another one or the copy is damaged. */
    fun artifact(): Artifact {
        val tflite = folder.resolve("$NAME.tflite")
        val description = context.assets.open("$NAME.json").use { it.readBytes() }
        val copied = folder.resolve("$NAME.json")
        if (!copied.exists() || !copied.readBytes().contentEquals(description)) copyAll()
        return try {
            Artifact.read(tflite)
        } catch (_: InputError) {
            copyAll()
            Artifact.read(tflite)
        }
    }

    /** The description last, so that a copy that was broken off is taken up again. */
    private fun copyAll() {
        folder.mkdirs()
        for (name in listOf("$NAME.tflite", "$NAME.replay.safetensors", "$NAME.json")) copy(name, folder.resolve(name))
    }

    private fun copy(name: String, to: File) {
        val bytes = context.assets.open(name).use { it.readBytes() }
        writeAtomically(to) { writeAll(it, ByteBuffer.wrap(bytes)) }
    }

    private companion object {
        const val NAME = "commands"
    }
}
