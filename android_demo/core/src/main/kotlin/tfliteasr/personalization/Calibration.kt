package tfliteasr.personalization

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.runtime.Artifact
import tfliteasr.readText
import tfliteasr.writeTextAtomically

/* What an artifact's plans cost on this device: measured once by short runs, kept in a file, read by the selector. */

private const val FORMAT = 1L

/**
 * One signature call of a plan. Memory is private and counted from the interpreter with its variables initialised.
 *
 * @property cpuSeconds of all threads.
 * @property peakMb while it runs for the first time, after the calls before it.
 * @property keptMb after that: the arenas that signatures keep, and what the host holds for later calls.
 */
data class CallCost(val signature: String, val seconds: Double, val cpuSeconds: Double, val peakMb: Double, val keptMb: Double)

/**
 * A plan. Its first calls alone are what training only the upper groups takes.
 *
 * @property basePrivateMb the process with the interpreter and its variables initialised.
 */
data class PlanCost(val basePrivateMb: Double, val calls: List<CallCost>) {
    /**
     * Private memory of a process that repeats the first [count] calls, MB: each call's peak at its first time; and from the
     * second step on, what the arenas of all of these calls keep with what a call adds while it runs.
     */
    fun peakMb(count: Int): Double {
        val some = calls.take(count)
        val kept = some.last().keptMb
        return basePrivateMb + some.maxOf { maxOf(it.peakMb, kept + it.peakMb - it.keptMb) }
    }

    /** A step of the first [count] calls on a full batch of the longest utterances. */
    fun seconds(count: Int): Double = calls.take(count).sumOf { it.seconds }

    /** The same, of all threads together. */
    fun cpuSeconds(count: Int): Double = calls.take(count).sumOf { it.cpuSeconds }
}

/**
 * The plans of one artifact on one device.
 *
 * @property device what it holds for: machine, runtime, threads; as the host tells it.
 */
class Calibration(val artifactSha256: String, val device: Map<String, String>, val plans: Map<String, PlanCost>) {
    fun toJson(): Map<String, Any> = mapOf(
        "format" to FORMAT,
        "artifact_sha256" to artifactSha256,
        "device" to device,
        "plans" to plans.mapValues { (_, plan) ->
            mapOf("base_private_mb" to plan.basePrivateMb, "calls" to plan.calls.map(::callJson))
        },
    )

    companion object {
        fun fromJson(values: JsonObject): Calibration {
            val found = values.long("format")
            if (found != FORMAT) throw InputError("${values.place}: expected format $FORMAT, got $found")
            val device = values.at("device")
            val plans = values.at("plans")
            return Calibration(
                values.string("artifact_sha256"),
                device.names.associateWith { device.string(it) },
                plans.names.associateWith { name -> plan(plans.at(name)) },
            )
        }

        private fun plan(values: JsonObject) = PlanCost(
            values.double("base_private_mb"),
            values.list("calls").map {
                val (peak, kept) = it.double("peak_mb") to it.double("kept_mb")
                CallCost(it.string("signature"), it.double("seconds"), it.double("cpu_seconds"), peak, kept)
            },
        )

        private fun callJson(call: CallCost) = mapOf(
            "signature" to call.signature,
            "seconds" to call.seconds,
            "cpu_seconds" to call.cpuSeconds,
            "peak_mb" to call.peakMb,
            "kept_mb" to call.keptMb,
        )
    }
}

/**
 * The calibration in a file; measured, and written there, when the file has none of this artifact and device.
 *
 * @param device what it is to hold for.
 * @param notice told in a line why it is measured (again), and when the file cannot be written.
 * @param measure a plan, by name.
 */
fun calibrated(
    artifact: Artifact,
    path: File,
    device: Map<String, String>,
    notice: (String) -> Unit,
    measure: (String) -> PlanCost,
): Calibration {
    val why = try {
        val kept = if (path.exists()) Calibration.fromJson(JsonObject.parse(readText(path, "a calibration"), path.path)) else null
        (if (kept == null) "none yet" else whyNot(kept, artifact, device)) ?: return kept!!
    } catch (error: InputError) {
        "not readable (${error.message})"
    } catch (error: IOException) {
        "not readable (${error.message})"
    }
    if (artifact.plans.isEmpty()) {
        throw InputError("${artifact.path}: no layer group trains, all are constants of the file; export it with --trainable")
    }
    notice("calibration $path: $why; measuring this device, nothing else should run meanwhile")
    val measured = Calibration(artifact.tfliteSha256, device, costs(artifact, measure))
    try {
        writeTextAtomically(path, Json.write(measured.toJson()) + "\n")
    } catch (error: IOException) {
        notice("calibration $path: could not be kept (${error.message}); it will be measured again")
    }
    return measured
}

/**
 * What each plan costs. A plan that stores outputs makes the first calls of one that does not, so its calls cost what they cost
 * there; of those whose outputs are stored a step takes a share of the time. Measured after others in one process, it would seem
 * to need no memory, since the process has it already.
 */
private fun costs(artifact: Artifact, measure: (String) -> PlanCost): Map<String, PlanCost> {
    val (storing, others) = artifact.plans.values.partition { it.stores }
    val measured = others.associate { it.name to measure(it.name) }
    val share = 1.0 / Settings().cachedUses
    return measured + storing.associate { plan ->
        val whole = measured.values.firstOrNull { cost -> cost.calls.map { it.signature }.take(plan.calls.size) == plan.calls.map { it.signature } }
        plan.name to if (whole == null) measure(plan.name) else PlanCost(
            whole.basePrivateMb,
            whole.calls.zip(plan.calls) { cost, call ->
                if (call.updates.isEmpty()) cost.copy(seconds = share * cost.seconds, cpuSeconds = share * cost.cpuSeconds) else cost
            },
        )
    }
}

/** Why a calibration is not one of this artifact on this device. */
private fun whyNot(kept: Calibration, artifact: Artifact, device: Map<String, String>): String? {
    if (kept.artifactSha256 != artifact.tfliteSha256) {
        return "of another artifact (${kept.artifactSha256.take(12)}, this is ${artifact.tfliteSha256.take(12)})"
    }
    val others = device.filter { (name, value) -> kept.device[name] != value }
        .map { (name, value) -> "$name ${kept.device[name]}, here $value" }
    if (others.isNotEmpty()) return "of another machine or runtime (${others.joinToString("; ")})"
    val changed = artifact.plans.values.firstOrNull { plan ->
        kept.plans[plan.name]?.calls?.map { it.signature } != plan.calls.map { it.signature }
    }
    return changed?.let { "without the plan ${it.name} as it is now" }
}
