package tfliteasr.data

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.audio.Sound
import tfliteasr.audio.writeWav

/**
 * What the owner recorded: WAV files and a manifest in one folder.
 *
 * Files are numbered, not dated, so a clock that goes back overwrites nothing. A recording counts once it stands in the
 * manifest, which is replaced whole.
 */
class Recordings(private val folder: File) {
    private val manifest = folder.resolve("manifest.jsonl")

    /** From the first to the last. */
    fun all(): List<Utterance> = if (manifest.exists()) readManifest(manifest) else emptyList()

    fun bytes(): Long = folder.walk().filter { it.isFile }.sumOf { it.length() }

    /** Keep a recording of [text]; [InputError], and all earlier ones as they were, when it cannot be stored. */
    fun keep(sound: Sound, text: String): Utterance {
        if (!folder.isDirectory && !folder.mkdirs()) throw StorageError("$folder: could not be made; is the storage full?")
        val before = all()
        val number = folder.list().orEmpty().mapNotNull { it.removeSuffix(".wav").toIntOrNull() }.maxOrNull() ?: 0
        val audio = folder.resolve((number + 1).toString().padStart(5, '0') + ".wav")
        writeWav(audio, sound)
        try {
            val rows = before.map { it.audio.name to it.text } + (audio.name to text)
            writeManifest(manifest, rows.map { (name, words) -> mapOf("audio" to name, "text" to words) })
        } catch (error: IOException) {
            audio.delete()
            throw StorageError("$manifest: could not be written (${error.message}); is the storage full?", error)
        }
        return all().last()
    }

    /** Nothing is left. */
    fun deleteAll() {
        if (folder.exists() && !folder.deleteRecursively()) throw InputError("$folder: could not be deleted whole; try again")
    }
}
