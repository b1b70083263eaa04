package tfliteasr.personalization

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.runtime.Artifact
import tfliteasr.vectors

/** What Python chooses for a hundred budgets, and what it says of the others (vectors/of_selector.py). */
class SelectorTest {
    private val vectors = vectors("selector")

    private fun optional(row: JsonObject, name: String): Double? = if (name in row) row.double(name) else null

    private fun budget(row: JsonObject) = Budget(
        row.double("ram_mb"),
        optional(row, "battery_percent"),
        row.double("battery_floor_percent"),
        optional(row, "seconds"),
        row.int("steps"),
        optional(row, "disk_mb"),
    )

    @Test
    fun `an artifact offers the same candidates`() {
        for (row in vectors.list("artifacts")) {
            val expected = row.list("candidates").map {
                Candidate(
                    it.int("exit"),
                    it.strings("trainable_groups"),
                    it.string("plan"),
                    it.int("parts"),
                    it.int("calls"),
                    it.int("batch"),
                    it.long("trainable_parameters"),
                    it.double("predicted_peak_mb"),
                    it.double("predicted_step_seconds"),
                    it.double("predicted_step_joules"),
                    optional(it, "expected_reduction"),
                    it.double("predicted_disk_mb"),
                )
            }
            assertEquals(expected, candidates(row))
        }
    }

    private fun candidates(row: JsonObject): List<Candidate> {
        val artifact = Artifact.fromJson(row.at("artifact"), File("none.tflite"))
        return candidates(artifact, Calibration.fromJson(row.at("calibration")))
    }

    @Test
    fun `for a hundred budgets the same is chosen, and the same said of the others`() {
        val counted = HashMap<Boolean, Int>()
        for (row in vectors.list("artifacts")) {
            val found = candidates(row)
            for (case in row.list("budgets")) {
                val budget = budget(case.at("budget"))
                val losses = if ("exit_losses" in case) case.numbers("exit_losses") else null
                val selection = choose(found, budget, losses)
                assertEquals(case.string("told"), "$budget")
                assertEquals(if ("chosen" in case) found[case.int("chosen")] else null, selection.chosen, "$budget")
                assertEquals(case.list("refused").map { it.strings("reasons") }, selection.refused.map { it.reasons }, "$budget")
                assertEquals(if ("smallest" in case) budget(case.at("smallest")) else null, selection.smallest, "$budget")
                counted.merge(selection.chosen != null, 1, Int::plus)
            }
        }
        assertTrue(counted.values.sum() >= 100 && counted.getValue(true) > 50 && counted.getValue(false) > 10, "$counted")
    }

    @Test
    fun `limits refuse what they refuse there, in the same words`() {
        val kinds = ArrayList<Kind>()
        for (row in vectors.list("refusals")) {
            val (limits, reading) = row.at("limits") to row.at("reading")
            val refusal = Limits(
                limits.double("least_available_ram_mb"),
                limits.double("least_battery_percent"),
                limits.double("most_temperature_c"),
                limits.boolean("only_charging"),
            ).refusal(
                Resources(
                    reading.double("seconds"),
                    reading.double("available_ram_mb"),
                    optional(reading, "battery_percent"),
                    reading.boolean("charging"),
                    optional(reading, "temperature_c"),
                ),
            )
            assertEquals(if ("refusal" in row) row.string("refusal") else null, refusal?.text)
            refusal?.let { kinds.add(it.kind) }
        }
        assertEquals(listOf(Kind.LOW_MEMORY, Kind.LOW_BATTERY, Kind.TOO_HOT, Kind.NOT_CHARGING), kinds)
    }

    @Test
    fun `a plan up to an exit that is not there is refused`() {
        assertEquals(mapOf("train" to 1, "split" to 1, "cached" to 1, "early" to 0), candidates(vectors.list("artifacts").last()).associate { it.plan to it.exit })
        val text = File("../vectors/selector.json").readText()
        val row = JsonObject.parse(text.replace("\"early\": 0", "\"early\": 2"), "changed").list("artifacts").last()
        val error = assertThrows(InputError::class.java) { candidates(row) }
        assertEquals("none.tflite: plan 'early': expected an exit from 0 to 1, got 2; export again", error.message)
    }

    @ParameterizedTest
    @ValueSource(doubles = [0.0, -5.0, Double.NaN, Double.POSITIVE_INFINITY])
    fun `budgets of memory that cannot be`(ramMb: Double) {
        val error = assertThrows(InputError::class.java) { Budget(ramMb) }
        assertTrue(error.message!!.startsWith("budget: ram_mb: expected more than 0, got "), error.message)
    }

    @Test
    fun `other budgets that cannot be`() {
        fun told(make: () -> Budget) = assertThrows(InputError::class.java) { make() }.message
        assertEquals("budget: battery_percent: expected more than 0, at most 100, got 101", told { Budget(1.0, 101.0) })
        assertEquals("budget: battery_floor_percent: expected 0 to 100, got -1", told { Budget(1.0, 50.0, -1.0) })
        assertEquals("budget: seconds: expected more than 0, got 0", told { Budget(1.0, seconds = 0.0) })
        assertEquals("budget: steps: expected 1 or more, got 0", told { Budget(1.0, steps = 0) })
        assertEquals("budget: disk_mb: expected 0 or more, got -1", told { Budget(1.0, diskMb = -1.0) })
    }
}
