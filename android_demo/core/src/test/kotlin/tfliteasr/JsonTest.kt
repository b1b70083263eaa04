package tfliteasr

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource

class JsonTest {
    @Test
    fun `values come out in their kinds and order`() {
        val text = """ {"b": [1, -2.5, 1e3, true, null], "a": "A\u00e9\n\"\\", "": {}} """
        val expected = mapOf("b" to listOf(1L, -2.5, 1000.0, true, null), "a" to "Aé\n\"\\", "" to emptyMap<String, Any>())
        val found = Json.parse(text) as Map<*, *>
        assertEquals(expected, found)
        assertEquals(listOf("b", "a", ""), found.keys.toList())
    }

    @Test
    fun `what is written is read back`() {
        val value = mapOf("text" to "tab\tquote\" é", "numbers" to listOf(1L, 0.1, -3e-9), "none" to null, "yes" to true)
        assertEquals(value, Json.parse(Json.write(value)))
    }

    @ParameterizedTest
    @ValueSource(
        strings = ["", "{", "[1,]", "{'a': 1}", "{\"a\" 1}", "01", "nul", "\"open", "\"\\x\"", "1 2", "[1 2]", "NaN", "\"\\u12\""],
    )
    fun `what is not JSON is refused`(text: String) {
        val error = assertThrows(InputError::class.java) { Json.parse(text) }
        assertTrue(error.message!!.startsWith("not JSON: expected "), error.message)
    }

    @Test
    fun `an error tells line and column`() {
        val error = assertThrows(InputError::class.java) { Json.parse("{\n \"a\": ?}") }
        assertEquals("not JSON: expected a value at line 2, column 7", error.message)
    }

    @Test
    fun `brackets without end do not exhaust the stack`() {
        assertThrows(InputError::class.java) { Json.parse("[".repeat(100_000)) }
    }

    @Test
    fun `a value of another kind is told with its place`() {
        val values = JsonObject.parse("""{"sizes": {"batch": "four"}}""", "model.json")
        val error = assertThrows(InputError::class.java) { values.at("sizes").int("batch") }
        assertEquals("model.json: sizes: expected a whole number as 'batch', got \"four\"", error.message)
        assertThrows(InputError::class.java) { values.string("name") }
    }
}
