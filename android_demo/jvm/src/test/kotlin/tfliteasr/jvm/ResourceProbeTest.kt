package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError

class ResourceProbeTest {
    @TempDir
    lateinit var root: File

    private fun write(path: String, text: String) = root.resolve(path).apply { parentFile.mkdirs() }.writeText(text)

    @Test
    fun `a machine on mains has no battery`() {
        write("proc/meminfo", "MemTotal:  9000000 kB\nMemAvailable:  2000000 kB\n")
        val now = ResourceProbe(root).now()
        assertEquals(2048.0, now.availableRamMb)
        assertTrue(now.batteryPercent == null && now.charging && now.temperatureC == null && now.seconds >= 0)
    }

    @Test
    fun `a battery and the hottest sensor are read`() {
        write("proc/meminfo", "MemAvailable: 1000 kB\n")
        write("sys/class/power_supply/AC/type", "Mains\n")
        write("sys/class/power_supply/BAT0/type", "Battery\n")
        write("sys/class/power_supply/BAT0/capacity", "64\n")
        write("sys/class/power_supply/BAT0/status", "Discharging\n")
        for ((zone, millidegrees) in listOf(31000, 44500).withIndex()) write("sys/class/thermal/thermal_zone$zone/temp", "$millidegrees\n")
        val now = ResourceProbe(root).now()
        assertEquals(listOf(64.0, 44.5, false), listOf(now.batteryPercent, now.temperatureC, now.charging))
        write("sys/class/power_supply/BAT0/status", "Charging\n")
        assertTrue(ResourceProbe(root).now().charging)
    }

    @Test
    fun `a system that does not tell its memory is refused`() {
        assertThrows(InputError::class.java) { ResourceProbe(root).now() }
        assertTrue(ResourceProbe().now().availableRamMb > 0)
    }
}
