package tfliteasr.text

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import tfliteasr.vectors

class NormalizationTest {
    @Test
    fun `texts are spelled as Python spells them`() {
        val rows = vectors("subwords").list("normalized")
        assertEquals(rows.map { it.string("as") }, rows.map { normalized(it.string("text")) })
        assertEquals("it's the twenty first", normalized("  It\u2019s the 21st! "))
    }
}
