package tfliteasr.text

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.JsonObject

class CharacterTokenizerTest {
    private val tokenizer = CharacterTokenizer(" ABC'")

    @Test
    fun `ids follow the characters from 1`() {
        assertArrayEquals(intArrayOf(2, 3, 1, 4, 5), tokenizer.encode("  ab \n c' "))
        assertEquals("AB C'", tokenizer.decode(listOf(2, 3, 1, 4, 5, 0, 0)))
        assertEquals(6, tokenizer.vocabularySize)
    }

    @Test
    fun `a character that the model lacks is named with its place`() {
        val error = assertThrows(InputError::class.java) { tokenizer.encode("A1", where = "m.jsonl:3") }
        assertTrue(error.message!!.startsWith("m.jsonl:3: '1' not among the model's characters"), error.message)
        assertThrows(InputError::class.java) { tokenizer.encode("  ") }
        assertThrows(InputError::class.java) { tokenizer.decode(listOf(6)) }
    }

    @ParameterizedTest
    @ValueSource(strings = ["", "AA", "Ab", "A\n"])
    fun `characters that cannot be spelt with are refused`(characters: String) {
        assertThrows(InputError::class.java) { CharacterTokenizer(characters) }
    }

    @Test
    fun `a text is spelled as it is said where the model's texts have case`() {
        val letters = " ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
        val tokenizer = CharacterTokenizer(letters, normalizes = true)
        fun spelled(text: String) = tokenizer.decode(tokenizer.encode(text).asIterable())
        assertEquals("IT'S TWENTY ONE DOCTOR BROWN", spelled("It\u2019s 21, Dr. Brown!"))
        assertEquals("MR BROWN'S", spelled("Mr  Brown's")) // of the vocabulary's characters: as it is
        assertThrows(InputError::class.java) { tokenizer.encode("...", where = "m.jsonl:3") }
        assertThrows(InputError::class.java) { CharacterTokenizer(letters).encode("Dr. Brown") }
    }

    @Test
    fun `whether it normalizes is true or false, and false where nothing is said`() {
        val plain = """"type": "characters", "characters": "AB""""
        fun of(text: String) = CharacterTokenizer.fromJson(JsonObject.parse("{$text}", "n.json"))
        assertFalse(of(plain).normalizes)
        for (value in listOf(true, false)) assertEquals(value, of("""$plain, "normalizes": $value""").normalizes)
        for (value in listOf("null", "1", "\"true\"")) {
            val error = assertThrows(InputError::class.java) { of("""$plain, "normalizes": $value""") }
            assertTrue("expected true or false as 'normalizes', got $value" in error.message!!, error.message)
        }
    }
}
