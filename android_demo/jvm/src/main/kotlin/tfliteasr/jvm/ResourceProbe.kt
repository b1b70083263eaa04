package tfliteasr.jvm

import java.io.File
import tfliteasr.InputError
import tfliteasr.personalization.ResourceSource
import tfliteasr.personalization.Resources

/**
 * This machine, as Linux tells it.
 *
 * @param root in which proc and sys are.
 */
class ResourceProbe(private val root: File = File("/")) : ResourceSource {
    private val started = System.nanoTime()

    override fun now(): Resources {
        val supplies = root.resolve("sys/class/power_supply").listFiles().orEmpty()
        val battery = supplies.firstOrNull { read(it, "type") == "Battery" }
        val zones = root.resolve("sys/class/thermal").listFiles().orEmpty().filter { it.name.startsWith("thermal_zone") }
        return Resources(
            seconds = (System.nanoTime() - started) / 1e9,
            availableRamMb = availableKilobytes() * 1024 / 1e6,
            batteryPercent = battery?.let { read(it, "capacity")?.toDoubleOrNull() },
            charging = battery == null || read(battery, "status") != "Discharging",
            temperatureC = zones.mapNotNull { read(it, "temp")?.toDoubleOrNull() }.maxOrNull()?.div(1000),
        )
    }

    private fun availableKilobytes(): Long {
        val line = root.resolve("proc/meminfo").takeIf { it.canRead() }?.readLines()?.firstOrNull { it.startsWith("MemAvailable:") }
        return line?.split(Regex("\\s+"))?.get(1)?.toLong()
            ?: throw InputError("this system does not tell its available memory; give --resource-trace")
    }

    private fun read(folder: File, name: String): String? = folder.resolve(name).takeIf { it.canRead() }?.readText()?.trim()
}
