package tfliteasr.personalization

import java.io.File
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.runtime.reading

/**
 * What a device has left.
 *
 * @property seconds since the readings began.
 * @property temperatureC of the battery; null where it is not told.
 */
data class ResourceReading(
    val seconds: Double,
    val availableRamMb: Double,
    val batteryPercent: Double,
    val charging: Boolean,
    val temperatureC: Double?,
)

/** Where readings come from: a phone, or a trace of one. */
fun interface Resources {
    fun now(): ResourceReading
}

/** Bounds on what training may use; a reading past one of them stops it. */
data class Limits(
    val leastAvailableRamMb: Double = 200.0, // left for others, beside what training takes
    val leastBatteryPercent: Double = 30.0, // counts only off the charger
    val onlyCharging: Boolean = false,
    val mostTemperatureC: Double = 42.0,
) {
    /** Why not to train now; null when nothing is against it. */
    fun refusal(reading: ResourceReading): StopReason? = when {
        reading.availableRamMb < leastAvailableRamMb -> StopReason.LOW_MEMORY
        onlyCharging && !reading.charging -> StopReason.NOT_CHARGING
        !reading.charging && reading.batteryPercent < leastBatteryPercent -> StopReason.LOW_BATTERY
        reading.temperatureC != null && reading.temperatureC > mostTemperatureC -> StopReason.TOO_HOT
        else -> null
    }
}

/**
 * A recorded course of a device's resources: JSON Lines with `seconds`, `available_ram_mb`, `battery_percent`, `charging`
 * and `temperature_c` (null where unknown), in the order of time.
 *
 * @param seconds the clock: a reading holds until the next one's time has come.
 */
class ResourceTrace(path: File, private val seconds: () -> Double) : Resources {
    private val readings = reading({ "$path: expected a trace of resources, cannot read it: $it" }) { path.readLines() }
        .mapIndexedNotNull { index, line -> if (line.isBlank()) null else row(JsonObject.parse(line, "$path:${index + 1}")) }

    init {
        if (readings.isEmpty()) throw InputError("$path: expected a trace with one reading a line, got an empty file")
        val back = readings.zipWithNext().indexOfFirst { (earlier, later) -> later.seconds <= earlier.seconds }
        if (back >= 0) throw InputError("$path: expected readings in the order of time, reading ${back + 2} does not come later")
    }

    override fun now(): ResourceReading = seconds().let { now -> readings.last { it.seconds <= now || it === readings[0] } }

    private fun row(values: JsonObject) = ResourceReading(
        values.double("seconds"),
        values.double("available_ram_mb"),
        values.double("battery_percent"),
        values.boolean("charging"),
        if ("temperature_c" in values) values.double("temperature_c") else null,
    )
}
