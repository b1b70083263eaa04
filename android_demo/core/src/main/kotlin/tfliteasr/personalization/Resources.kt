package tfliteasr.personalization

import java.io.File
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.fixed
import tfliteasr.general
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.readText

/**
 * What a device has to spare. In a trace it holds until the next row's time, the last for ever.
 *
 * @property seconds since the readings began.
 * @property batteryPercent null: there is no battery.
 * @property charging or on mains.
 * @property temperatureC null: there is no sensor.
 */
data class Resources(
    val seconds: Double,
    val availableRamMb: Double,
    val batteryPercent: Double?,
    val charging: Boolean,
    val temperatureC: Double?,
) {
    /** As a trace has it. */
    fun toJson(): Map<String, Any?> = mapOf(
        "seconds" to seconds,
        "available_ram_mb" to availableRamMb,
        "battery_percent" to batteryPercent,
        "charging" to charging,
        "temperature_c" to temperatureC,
    )
}

/** A phone, or a trace of one. */
fun interface ResourceSource {
    fun now(): Resources
}

/**
 * A recorded course, replayed.
 *
 * @param rows in the order of time, one at least.
 * @param clock seconds since any moment; the trace begins now.
 */
class ResourceTrace(private val rows: List<Resources>, private val clock: () -> Double) : ResourceSource {
    private val start = clock()

    override fun now(): Resources = (clock() - start).let { seconds -> rows.lastOrNull { it.seconds <= seconds } ?: rows[0] }
}

/** When a phone may train. */
data class Limits(
    val leastAvailableRamMb: Double = 0.0,
    val leastBatteryPercent: Double = 0.0, // while it is not charging
    val mostTemperatureC: Double = Double.POSITIVE_INFINITY,
    val onlyCharging: Boolean = false,
) {
    /** Why not to train now; null when nothing is against it. */
    fun refusal(now: Resources): StopReason? {
        val (ram, battery, temperature) = Triple(now.availableRamMb, now.batteryPercent, now.temperatureC)
        return when {
            ram < leastAvailableRamMb ->
                StopReason(
                    Kind.LOW_MEMORY,
                    "${fixed(ram, 0)} MB of RAM available, at least ${general(leastAvailableRamMb)} are to stay",
                )
            onlyCharging && !now.charging -> StopReason(Kind.NOT_CHARGING, "not charging")
            !now.charging && battery != null && battery < leastBatteryPercent ->
                StopReason(Kind.LOW_BATTERY, "battery at ${general(battery)}%, under its floor of ${general(leastBatteryPercent)}%")
            temperature != null && temperature > mostTemperatureC ->
                StopReason(Kind.TOO_HOT, "${general(temperature)} degrees Celsius, more than ${general(mostTemperatureC)}")
            else -> null
        }
    }
}

private const val ABSOLUTE_ZERO_C = -273.15

/** A trace in JSON Lines, a row {seconds, available_ram_mb, battery_percent, charging, temperature_c} each. */
fun readTrace(path: File): List<Resources> {
    val lines = readText(path, "a resource trace").split('\n')
    val rows = lines.mapIndexedNotNull { index, line -> if (line.isBlank()) null else row(line, "$path:${index + 1}") }
    if (rows.isEmpty()) throw InputError("$path: expected a resource trace with one JSON object a line, got an empty file")
    for ((former, later) in rows.zipWithNext()) {
        if (later.seconds <= former.seconds) {
            throw InputError("$path: expected seconds after ${general(former.seconds)}, got ${general(later.seconds)}")
        }
    }
    return rows
}

private fun row(line: String, where: String): Resources {
    val values = JsonObject.parse(line, where)
    val row = Resources(
        values.double("seconds"),
        values.double("available_ram_mb"),
        values.double("battery_percent"),
        values.boolean("charging"),
        values.double("temperature_c"),
    )
    fun check(name: String, possible: Boolean, expected: String) {
        if (!possible) throw InputError("$where: $name: expected $expected, got ${general(values.double(name))}")
    }
    check("seconds", row.seconds >= 0, "0 or more")
    check("available_ram_mb", row.availableRamMb >= 0, "0 or more")
    check("battery_percent", values.double("battery_percent") in 0.0..100.0, "0 to 100")
    check("temperature_c", values.double("temperature_c") > ABSOLUTE_ZERO_C, "more than $ABSOLUTE_ZERO_C")
    return row
}
