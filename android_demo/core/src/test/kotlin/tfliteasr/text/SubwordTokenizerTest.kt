package tfliteasr.text

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.vectors

class SubwordTokenizerTest {
    private val vectors = vectors("subwords")

    @Test
    fun `ids are those that Python finds, by the order and by scores behind a blank`() {
        val byOrder = tokenizerFromJson(vectors.at("tokenizer"))
        val byScore = tokenizerFromJson(vectors.at("scored"))
        val lines = vectors.list("lines")
        assertEquals(200, lines.size)
        for (line in lines) {
            val text = line.string("text")
            assertArrayEquals(line.shape("ids"), byOrder.encode(text), text)
            assertArrayEquals(line.shape("scored_ids"), byScore.encode(text), text)
            assertEquals(text.replace('\u2581', ' '), byOrder.decode(byOrder.encode(text).asIterable()))
        }
        assertEquals(byOrder.vocabularySize + 1, byScore.vocabularySize)
    }

    @Test
    fun `texts are those that Python finds`() {
        val tokenizer = tokenizerFromJson(vectors.at("tokenizer"))
        for (row in vectors.list("decoded")) {
            assertEquals(row.string("text"), tokenizer.decode(row.shape("ids").asIterable()), row.shape("ids").joinToString())
        }
    }

    @Test
    fun `the lowest id is merged first, the leftmost of equals, or the best score`() {
        fun pieces(scores: List<Double>?, vararg merged: String): List<String> {
            val tokenizer = SubwordTokenizer(listOf("\u2581", "a", "b", "c", *merged), scores)
            return tokenizer.encode("abc").map { tokenizer.pieces[it] }
        }
        assertEquals(listOf("\u2581", "ab", "c"), pieces(null, "ab", "bc"))
        assertEquals(listOf("\u2581", "a", "bc"), pieces(null, "bc", "ab"))
        assertEquals(listOf("\u2581", "a", "bc"), pieces(listOf(0.0, 0.0, 0.0, 0.0, -2.0, -1.0), "ab", "bc"))
        assertEquals(listOf("\u2581", "ab", "c"), pieces(listOf(0.0, 0.0, 0.0, 0.0, -1.0, -1.0), "ab", "bc"))
    }

    @Test
    fun `what cannot be spelled or is no vocabulary is refused`() {
        val tokenizer = SubwordTokenizer(listOf("\u2581", "a"))
        val error = assertThrows(InputError::class.java) { tokenizer.encode("ab\u00e9", "m.jsonl:3") }
        assertTrue(error.message!!.startsWith("m.jsonl:3: 'b', '\u00e9' not among the model's 2 subwords"), error.message)
        assertThrows(InputError::class.java) { tokenizer.encode(" ") }
        assertThrows(InputError::class.java) { tokenizer.decode(listOf(2)) }
        assertThrows(InputError::class.java) { tokenizerFromJson(vectors.at("tokenizer")).encode("a\ud83d") }
        assertThrows(InputError::class.java) { SubwordTokenizer(emptyList()) }
        assertThrows(InputError::class.java) { SubwordTokenizer(listOf("a", "a")) }
        assertThrows(InputError::class.java) { SubwordTokenizer(listOf("a"), listOf(1.0, 2.0)) }
        assertThrows(InputError::class.java) { SubwordTokenizer(listOf("a", "<0x00>")) }
        assertThrows(InputError::class.java) { SubwordTokenizer(listOf("a"), offset = 2) }
    }

    @Test
    fun `NAME json says which tokenizer it is`() {
        fun of(text: String) = tokenizerFromJson(JsonObject.parse(text, "n.json"))
        assertTrue(of("""{"type": "characters", "characters": "AB"}""") is CharacterTokenizer)
        assertEquals(3, of("""{"type": "subwords", "pieces": ["a", "b"], "scores": null, "offset": 1}""").vocabularySize)
        assertThrows(InputError::class.java) { of("""{"type": "words"}""") }
    }
}
