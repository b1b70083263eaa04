package tfliteasr.data

import java.io.File
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.audio.Segment
import tfliteasr.readText
import tfliteasr.runtime.reading
import tfliteasr.writeTextAtomically

/**
 * One row of a manifest: a file or, with `offset`, a segment of one.
 *
 * @property speaker null where the row does not say.
 * @property where `manifest.jsonl:17`.
 * @property segment null where the utterance is the whole file.
 */
data class Utterance(
    val audio: File,
    val text: String,
    val speaker: String?,
    val where: String,
    val segment: Segment? = null,
)

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
    return Utterance(manifest.absoluteFile.resolveSibling(audio), text, speaker(row), row.place, segment(row))
}

/** Without `offset`, `duration` is that of the file. */
private fun segment(row: JsonObject): Segment? {
    if ("offset" !in row) return null
    val offset = row.double("offset")
    if (!(offset >= 0 && offset <= MOST_SECONDS)) {
        throw InputError("${row.place}: expected seconds of 0 or more as 'offset', got $offset; correct it or leave the field out")
    }
    if ("duration" !in row) return Segment(offset, null)
    val duration = row.double("duration")
    if (!(duration > 0 && duration <= MOST_SECONDS)) {
        throw InputError("${row.place}: expected seconds above 0 as 'duration', got $duration; correct it or leave the field out")
    }
    return Segment(offset, duration)
}

private const val MOST_SECONDS = 1e9 // thirty years: beyond it a number is no time in a recording

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
