package tfliteasr.text

import java.io.File
import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.assertClose
import tfliteasr.vectors

/** Lists of phrases, and the automaton that finds them. */
class PhrasesTest {
    @TempDir
    lateinit var folder: Path

    private fun file(content: String): File = folder.resolve("names.txt").toFile().apply { writeText(content) }

    private fun told(content: String): String =
        assertThrows(InputError::class.java) { readPhrases(file(content)) }.message!!.removePrefix(folder.toString() + "/")

    @Test
    fun `every prefix of a text has the bonus that Python finds`() {
        val vectors = vectors("hotwords")
        val phrases = vectors.list("phrases").map { WeightedText(it.string("text"), it.double("weight")) }
        val automaton = PhraseAutomaton(phrases)
        var found = 0
        for (row in vectors.list("texts")) {
            var walked = Walked(automaton.start, 0.0)
            val all = row.string("text").codePoints().toArray().map { character ->
                val next = automaton.walk(walked.state, intArrayOf(character))
                Walked(next.state, walked.bonus + next.bonus).also { walked = it }
            }
            assertClose(row.numbers("bonuses"), all.map { it.bonus }, 1e-6)
            assertClose(row.numbers("finished"), all.map { it.bonus + automaton.finished(it.state) }, 1e-6)
            if (walked.bonus > 0) found++
        }
        assertTrue(found > 5)
    }

    @Test
    fun `a file has a phrase a line and weights behind tabs`() {
        val found = readPhrases(file("CALL  NGUYEN\n\nZo\u00eb\t2.5\r\n  Ann \t 0\n"))
        assertEquals(listOf("CALL NGUYEN", "Zo\u00eb", "Ann"), found.map { it.text })
        assertEquals(listOf(1.0, 2.5, 0.0), found.map { it.weight })
        assertTrue(found[1].where.endsWith("names.txt:3"))
    }

    @Test
    fun `a bad list is refused in one line`() {
        assertEquals("names.txt: expected at least one phrase, got none", told("\n\n"))
        assertTrue(told("ann\nbob\nANN\n").startsWith("names.txt:3: expected each phrase once, 'ANN' stands at "))
        assertEquals("names.txt:1: expected a number as the weight of 'ann', got 'much'", told("ann\tmuch\n"))
        assertEquals("names.txt:1: expected a weight of 0 or more for 'ann', got NaN", told("ann\tNaN\n"))
        assertEquals("names.txt:1: expected a weight of 0 or more for 'ann', got -1.0", told("ann\t-1\n"))
        assertEquals("names.txt:2: expected a phrase, got '...', which has no letters; leave it out", told("ann\n...\n"))
        assertTrue("expected a phrase of at most 200 characters, got 201" in told("a".repeat(201)))
        val many = told((1..100_000).joinToString("\n"))
        assertEquals("names.txt: expected at most 10000 phrases, got 100000; keep those that are likely today", many)
        assertThrows(InputError::class.java) { checkPhrases(emptyList()) }
        assertThrows(InputError::class.java) { checkPhrases(listOf(Phrase("Ann"), Phrase("ANN"))) }
    }
}
