package tfliteasr

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class NumbersTest {
    @Test
    fun `numbers are written as Python writes them`() {
        assertEquals(listOf("0", "2", "-2.7"), listOf(fixed(0.5, 0), fixed(1.5, 0), fixed(-2.675, 1)))
        assertEquals("2.67", fixed(2.675, 2)) // a little less than that in binary
        val given = listOf(0.0, 100.0, 12.5, 1e-5, 1234567.0, 0.1 + 0.2, -3e-4, 999999.5)
        assertEquals(listOf("0", "100", "12.5", "1e-05", "1.23457e+06", "0.3", "-0.0003", "1e+06"), given.map { general(it) })
        assertEquals(listOf("1,422,173", "885,341", "0.4", "12"), listOf(1422173.0, 885341.0, 0.4, 12.0).map { grouped(it, 7) })
    }
}
