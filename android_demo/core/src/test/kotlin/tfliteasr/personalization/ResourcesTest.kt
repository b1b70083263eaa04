package tfliteasr.personalization

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError

class ResourcesTest {
    @TempDir
    lateinit var folder: File

    private fun trace(vararg lines: String, seconds: () -> Double = { 0.0 }): ResourceTrace =
        ResourceTrace(folder.resolve("trace.jsonl").apply { writeText(lines.joinToString("\n")) }, seconds)

    private fun line(seconds: Double, ram: Int) =
        """{"seconds": $seconds, "available_ram_mb": $ram, "battery_percent": 80, "charging": false, "temperature_c": null}"""

    @Test
    fun `a reading holds until the next one's time`() {
        var now = 0.0
        val trace = trace(line(1.0, 900), line(5.0, 500), line(9.5, 100)) { now }
        val found = listOf(0.0, 1.0, 4.9, 5.0, 9.4, 9.5, 1000.0).map { now = it; trace.now().availableRamMb }
        assertEquals(listOf(900.0, 900.0, 900.0, 500.0, 500.0, 100.0, 100.0), found)
        assertNull(trace.now().temperatureC)
    }

    @Test
    fun `a trace that is none is refused`() {
        assertThrows(InputError::class.java) { trace("") }
        assertThrows(InputError::class.java) { trace(line(5.0, 1), line(5.0, 1)) }
        assertThrows(InputError::class.java) { trace("""{"seconds": 1}""") }
        assertThrows(InputError::class.java) { ResourceTrace(folder.resolve("none.jsonl")) { 0.0 } }
    }

    @Test
    fun `each limit has its reason`() {
        val limits = Limits(leastAvailableRamMb = 200.0, leastBatteryPercent = 30.0, mostTemperatureC = 42.0)
        val fine = ResourceReading(0.0, 500.0, 50.0, charging = false, temperatureC = 30.0)
        assertNull(limits.refusal(fine))
        assertNull(limits.refusal(fine.copy(batteryPercent = 5.0, charging = true)))
        assertNull(limits.refusal(fine.copy(temperatureC = null)))
        assertEquals(StopReason.LOW_MEMORY, limits.refusal(fine.copy(availableRamMb = 199.0)))
        assertEquals(StopReason.LOW_BATTERY, limits.refusal(fine.copy(batteryPercent = 29.0)))
        assertEquals(StopReason.TOO_HOT, limits.refusal(fine.copy(temperatureC = 42.5)))
        assertEquals(StopReason.NOT_CHARGING, limits.copy(onlyCharging = true).refusal(fine))
    }

    @Test
    fun `of what fits, most groups are trained in the fewest calls`() {
        val all = listOf("low", "high")
        val candidates = listOf(
            Candidate("train", all, 1, 300.0),
            Candidate("split", all, 3, 180.0),
            Candidate("split", listOf("high"), 2, 120.0),
        )
        assertEquals(listOf(1, 3, 2), listOf(300.0, 299.0, 179.0).map { choose(candidates, it)?.calls })
        assertNull(choose(candidates, 100.0))
    }
}
