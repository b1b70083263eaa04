package tfliteasr.data

import java.io.File
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.readText
import tfliteasr.writeTextAtomically

/**
 * One row of a manifest.
 *
 * @property speaker null where the row does not say.
 * @property where `manifest.jsonl:17`.
 */
data class Utterance(val audio: File, val text: String, val speaker: String?, val where: String)

/** The utterances of a manifest, JSON Lines with `audio` and `text`, in its order; no audio file is opened. */
fun readManifest(path: File): List<Utterance> {
    val lines = readText(path, "a manifest").split('\n')
    val rows = lines.mapIndexedNotNull { index, line ->
        if (line.isBlank()) null else utterance(JsonObject.parse(line, "$path:${index + 1}"), path)
    }
    if (rows.isEmpty()) throw InputError("$path: expected a manifest with one JSON object a line, got an empty file")
    return rows
}

private fun utterance(row: JsonObject, manifest: File): Utterance {
    val audio = row.string(if ("audio" in row) "audio" else "audio_filepath")
    val text = row.string("text")
    if (text.isBlank()) throw InputError("${row.place}: expected a transcript as 'text'; give what was said or leave the row out")
    return Utterance(manifest.absoluteFile.resolveSibling(audio), text, speaker(row), row.place)
}

/** A name or a number. */
private fun speaker(row: JsonObject): String? = when {
    "speaker" !in row -> null
    row.isString("speaker") -> row.string("speaker")
    else -> row.long("speaker").toString()
}

/** Write rows as JSON Lines; the file is complete or it is as it was. */
fun writeManifest(path: File, rows: List<Map<String, Any>>) {
    val text = rows.joinToString("") { Json.write(it) + "\n" }
    writeTextAtomically(path, text)
}
