package tfliteasr.text

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.Generator
import tfliteasr.editDistance
import tfliteasr.vectors

/** Transcripts with the case of what was heard, as vectors/of_second_pass_training.py says. */
class CasingTest {
    private val rows = vectors("second_pass_training").list("cased")

    @Test
    fun `words are the transcript's, and case is what was heard`() {
        for (row in rows) {
            val (text, written) = row.string("text") to row.string("written")
            assertEquals(row.string("as"), withCaseOf(text, written), "$text | $written")
            assertEquals(normalized(text), normalized(row.string("as")))
        }
    }

    @Test
    fun `a text in one case tells nothing about it`() {
        for (text in listOf("TURN LEFT", "it's 5.", "21", "\u00c9T\u00c9", "")) assertTrue(inOneCase(text), text)
        for (text in listOf("Turn left", "iPhone", "I am")) assertFalse(inOneCase(text), text)
    }

    @Test
    fun `an alignment is one of the fewest edits`() {
        val random = Generator(3)
        repeat(300) {
            val (said, heard) = List(2) { List(random.integers(0, 7)) { "abc"[random.integers(0, 2)].toString() } }
            val places = alignedPlaces(said, heard)
            val aligned = places.filterNotNull()
            assertEquals(aligned.distinct().sorted(), aligned)
            val substituted = places.withIndex().count { (index, place) -> place != null && said[index] != heard[place] }
            val edits = substituted + (said.size - aligned.size) + (heard.size - aligned.size)
            assertEquals(editDistance(said, heard), edits, "$said | $heard")
        }
    }
}
