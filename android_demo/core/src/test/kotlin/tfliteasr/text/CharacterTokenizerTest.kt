package tfliteasr.text

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError

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
}
