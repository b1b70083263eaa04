package tfliteasr.personalization

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.StorageError
import tfliteasr.readText
import tfliteasr.writeTextAtomically

internal const val PROCESS_ENDED = "the process ended" // until it is known to have ended otherwise

/**
 * A round, so far.
 *
 * @property number counted from 1.
 * @property utterances that have come, without those held out.
 * @property history steps and seconds counted on over interruptions.
 * @property ended false: it was interrupted, and is gone on with.
 * @property measured at its end, by who trains.
 */
data class Round(
    val number: Int,
    val utterances: Int,
    val chosen: Candidate,
    val history: List<Epoch> = emptyList(),
    val steps: Int = 0,
    val seconds: Double = 0.0,
    val ended: Boolean = false,
    val stoppedBecause: String = PROCESS_ENDED,
    val measured: Map<String, Double> = emptyMap(),
) {
    val bestWer: Double? get() = history.lastOrNull { it.best }?.validationWer
}

/**
 * What `rounds.json` holds.
 *
 * @property of a fingerprint of all that rounds of two processes must have in common.
 * @property readings of the resources, over all processes.
 */
class RoundsState(val of: String, val rounds: List<Round>, val readings: List<Resources>) {
    /** Whether every one of so many rounds came to its end. */
    fun finished(count: Int): Boolean = rounds.size == count && rounds.last().ended

    fun toJson(): Map<String, Any> =
        mapOf("of" to of, "rounds" to rounds.map(::roundJson), "resources" to readings.map { it.toJson() })

    /** The file is there whole, or as it was. */
    fun save(path: File) = try {
        writeTextAtomically(path, Json.write(toJson()) + "\n")
    } catch (error: IOException) {
        throw StorageError("$path: could not be written (${error.message}); is the storage full?", error)
    }

    companion object {
        /** [InputError] when the file does not hold the state of rounds. */
        fun read(path: File): RoundsState = try {
            val values = JsonObject.parse(readText(path, "the state of rounds"), path.name)
            val readings = values.list("resources").map { row ->
                fun number(name: String) = if (name in row) row.double(name) else null
                val (seconds, ram) = row.double("seconds") to row.double("available_ram_mb")
                Resources(seconds, ram, number("battery_percent"), row.boolean("charging"), number("temperature_c"))
            }
            RoundsState(values.string("of"), values.list("rounds").map(::round), readings)
        } catch (error: InputError) {
            throw InputError("$path: not the state of rounds (${error.message}); remove it to begin anew", error)
        } catch (error: IOException) {
            throw InputError("$path: not the state of rounds (${error.message}); remove it to begin anew", error)
        }

        fun roundJson(round: Round): Map<String, Any?> = mapOf(
            "round" to round.number,
            "utterances" to round.utterances,
            "chosen" to candidateJson(round.chosen),
            "history" to round.history.map { it.toJson() },
            "steps" to round.steps,
            "seconds" to round.seconds,
            "best_wer" to round.bestWer,
            "ended" to round.ended,
            "stopped_because" to round.stoppedBecause,
        ) + round.measured

        private val OWN = setOf(
            "round", "utterances", "chosen", "history", "steps", "seconds", "best_wer", "ended", "stopped_because",
        )

        private fun round(row: JsonObject) = Round(
            row.int("round"),
            row.int("utterances"),
            candidate(row.at("chosen")),
            row.list("history").map(::epoch),
            row.int("steps"),
            row.double("seconds"),
            row.boolean("ended"),
            row.string("stopped_because"),
            (row.names - OWN).associateWith { row.double(it) },
        )

        private fun epoch(row: JsonObject) = Epoch(
            row.int("epoch"),
            row.int("step"),
            row.double("seconds"),
            if ("train_loss" in row) row.double("train_loss") else null,
            if ("validation_loss" in row) row.double("validation_loss") else Double.NaN,
            row.double("validation_wer"),
            if ("rss_mb" in row) row.double("rss_mb") else null,
            row.boolean("best"),
        )

        private fun candidateJson(chosen: Candidate) = mapOf(
            "exit" to chosen.exit,
            "trainable_groups" to chosen.trainableGroups,
            "plan" to chosen.plan,
            "parts" to chosen.parts,
            "calls" to chosen.calls,
            "batch" to chosen.batch,
            "trainable_parameters" to chosen.trainableParameters,
            "predicted_peak_mb" to chosen.predictedPeakMb,
            "predicted_step_seconds" to chosen.predictedStepSeconds,
            "predicted_step_joules" to chosen.predictedStepJoules,
            "expected_reduction" to chosen.expectedReduction,
        )

        private fun candidate(row: JsonObject) = Candidate(
            row.int("exit"),
            row.strings("trainable_groups"),
            row.string("plan"),
            row.int("parts"),
            row.int("calls"),
            row.int("batch"),
            row.long("trainable_parameters"),
            row.double("predicted_peak_mb"),
            row.double("predicted_step_seconds"),
            row.double("predicted_step_joules"),
            if ("expected_reduction" in row) row.double("expected_reduction") else null,
        )
    }
}
