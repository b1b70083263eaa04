package tfliteasr.personalization

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError

class ResourcesTest {
    @TempDir
    lateinit var folder: File

    private fun trace(vararg lines: String): List<Resources> =
        readTrace(folder.resolve("trace.jsonl").apply { writeText(lines.joinToString("\n")) })

    private fun line(seconds: Double, ram: Int, battery: Int = 80, temperature: Int = 30) =
        """{"seconds": $seconds, "available_ram_mb": $ram, "battery_percent": $battery, "charging": false, "temperature_c": $temperature}"""

    @Test
    fun `a reading holds until the next one's time`() {
        var now = 100.0
        val trace = ResourceTrace(trace(line(1.0, 900), "", line(5.0, 500), line(9.5, 100))) { now }
        val found = listOf(0.0, 1.0, 4.9, 5.0, 9.4, 9.5, 1000.0).map { now = 100 + it; trace.now().availableRamMb }
        assertEquals(listOf(900.0, 900.0, 900.0, 500.0, 500.0, 100.0, 100.0), found)
    }

    @Test
    fun `a clock that goes back meets the earlier reading again`() {
        var now = 9.0
        val trace = ResourceTrace(trace(line(0.0, 900), line(5.0, 500))) { now }
        assertEquals(listOf(500.0, 900.0), listOf(15.0, 3.0).map { now = it; trace.now().availableRamMb })
    }

    @Test
    fun `a trace that is none is refused with its place`() {
        fun told(vararg lines: String) = assertThrows(InputError::class.java) { trace(*lines) }.message!!
        assertTrue("an empty file" in told(""))
        assertTrue("expected seconds after 5, got 5" in told(line(5.0, 1), line(5.0, 1)))
        assertTrue("trace.jsonl:2: expected a number as 'available_ram_mb'" in told(line(0.0, 1), """{"seconds": 1}"""))
        assertTrue("trace.jsonl:1: battery_percent: expected 0 to 100, got 101" in told(line(0.0, 1, battery = 101)))
        assertTrue("available_ram_mb: expected 0 or more, got -1" in told(line(0.0, -1)))
        assertTrue("temperature_c: expected more than -273.15, got -300" in told(line(0.0, 1, temperature = -300)))
        assertThrows(InputError::class.java) { readTrace(folder.resolve("none.jsonl")) }
    }
}
