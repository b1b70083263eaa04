package tfliteasr.data

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError

class ManifestTest {
    @TempDir
    lateinit var folder: File

    @Test
    fun `paths are relative to the manifest and blank lines count nothing`() {
        val path = folder.resolve("m.jsonl")
        val rows = listOf("""{"audio": "a/1.wav", "text": "ONE", "speaker": 3}""", "", """{"audio_filepath": "2.wav", "text": "TWO"}""")
        path.writeText(rows.joinToString("\n"))
        val found = readManifest(path)
        assertEquals(listOf(folder.resolve("a/1.wav"), folder.resolve("2.wav")), found.map { it.audio })
        assertEquals(listOf("$path:1", "$path:3"), found.map { it.where })
        assertEquals(listOf("3", null), found.map { it.speaker })
    }

    @Test
    fun `a row with an offset is a segment`() {
        val rows = listOf(""""offset": 0, "duration": 1.5""", """"offset": 2.5""", """"duration": 1.5""", """"offset": null""")
        val path = folder.resolve("m.jsonl")
        path.writeText(rows.joinToString("\n") { """{"audio": "a.wav", "text": "A", $it}""" })
        val found = readManifest(path).map { utterance -> utterance.segment?.let { it.offsetSeconds to it.durationSeconds } }
        assertEquals(listOf(0.0 to 1.5, 2.5 to null, null, null), found)
    }

    @ParameterizedTest
    @ValueSource(
        strings = [
            "",
            "\n",
            "[1]",
            """{"text": "ONE"}""",
            """{"audio": "a.wav"}""",
            """{"audio": "a.wav", "text": " "}""",
            """{"audio": 3, "text": "A"}""",
            """{"audio": "a.wav", "text": "A", "offset": -1}""",
            """{"audio": "a.wav", "text": "A", "offset": "1"}""",
            """{"audio": "a.wav", "text": "A", "offset": 0, "duration": 0}""",
        ],
    )
    fun `a row that is none is told with its place`(line: String) {
        val path = folder.resolve("m.jsonl").apply { writeText(line) }
        assertTrue(assertThrows(InputError::class.java) { readManifest(path) }.message!!.startsWith("$path"))
    }
}
