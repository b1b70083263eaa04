package tfliteasr.runtime

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.text.SubwordTokenizer
import tfliteasr.vectors

/** Corrections are compared as Python compares them (vectors/of_corrections.py). */
class CorrectionsTest {
    private val vectors = vectors("corrections")

    @Test
    fun `words are missed, names learned and texts refused as in Python`() {
        val subwords = SubwordTokenizer(vectors.strings("pieces"))
        for (row in vectors.list("pairs")) {
            val (meant, heard, normalize) = Triple(row.string("meant"), row.string("heard"), row.boolean("normalize"))
            assertEquals(row.strings("missed"), missedWords(meant, heard, normalize), "$meant | $heard")
            assertEquals(row.strings("names"), namesIn(meant, heard, subwords, normalize), "$meant | $heard")
            val refused = runCatching { checkCorrection(meant, heard, normalize) }.exceptionOrNull()?.message
            assertEquals(if ("refused" in row) row.string("refused") else null, refused)
        }
    }

    @Test
    fun `phrases come back from bytes`() {
        val phrases = listOf("Aoife Rasmussen", "\u017eofie", "\u674e")
        assertEquals(phrases, phrasesOf(bytesOf(phrases), "here"))
        assertEquals(emptyList<String>(), phrasesOf(bytesOf(emptyList()), "here"))
        val other = Tensor(DType.INT8, intArrayOf(2)).also { it.bytes().put(byteArrayOf(-1, -1)) }
        assertThrows(InputError::class.java) { phrasesOf(other, "here") }
    }
}
