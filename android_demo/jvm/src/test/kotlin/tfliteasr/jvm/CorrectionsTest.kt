package tfliteasr.jvm

import java.io.File
import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer

/** A model with a second pass takes corrections as Python does (vectors/of_corrections.py). */
class CorrectionsTest {
    @TempDir
    lateinit var folder: File

    private val vectors = Shipped.vectors("corrections")

    private fun recognizer(): Recognizer =
        Artifact.read(Shipped.folder.resolve("decoder.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private val tones = Shipped.vectors("second_pass").shape("lengths").map { length ->
        FloatArray(length) {
            val seconds = it / 16000.0
            (0.3 * sin(2 * PI * (200 * seconds + 1500 * seconds * seconds)) * cos(9 * seconds)).toFloat()
        }
    }

    @Test
    fun `names are expected once they were corrected, kept in checkpoints and forgotten`() = recognizer().use { recognizer ->
        val plain = tones.map { recognizer.transcribe(it) }
        var changed = 0
        for (row in vectors.list("taken")) {
            val correction = recognizer.correct(tones[0], row.string("meant"), row.string("heard"))
            assertEquals(row.strings("missed"), correction.missed)
            assertEquals(row.strings("learned"), correction.learned)
            assertEquals(row.string("text"), correction.example.text)
            assertEquals(row.strings("phrases"), recognizer.learnedPhrases)
            val heard = tones.map { recognizer.transcribe(it) }
            assertEquals(row.strings("transcripts"), heard)
            changed += heard.zip(plain).count { (now, before) -> now != before }
        }
        assertTrue(changed > 0)
        recognizer.save(folder.resolve("mine.safetensors"))
        val last = vectors.list("taken").last()
        recognizer.forget(recognizer.correct(tones[0], last.string("meant"), last.string("heard"))) // taught nothing this time
        assertEquals(last.strings("phrases"), recognizer.learnedPhrases)
        recognizer.learnedPhrases = emptyList()
        assertEquals(plain, tones.map { recognizer.transcribe(it) })
        recognizer.restore(folder.resolve("mine.safetensors"))
        assertEquals(last.strings("phrases"), recognizer.learnedPhrases)
    }

    @Test
    fun `a correction is forgotten`() = recognizer().use { recognizer ->
        val taken = vectors.list("taken").map { recognizer.correct(tones[0], it.string("meant"), it.string("heard")) }
        recognizer.forget(taken.last())
        assertEquals(vectors.strings("forgotten"), recognizer.learnedPhrases)
    }

    @Test
    fun `what corrects nothing or cannot be spelled changes nothing`() = recognizer().use { recognizer ->
        recognizer.learnedPhrases = listOf("HID")
        for (row in vectors.list("refused")) {
            assertThrows(InputError::class.java) { recognizer.correct(tones[0], row.string("meant"), row.string("heard")) }
        }
        assertEquals(listOf("HID"), recognizer.learnedPhrases)
    }
}
