package tfliteasr.personalization

import kotlin.math.abs
import kotlin.math.ceil
import tfliteasr.InputError
import tfliteasr.fixed
import tfliteasr.general
import tfliteasr.grouped
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Gain
import tfliteasr.runtime.Plan

/*
 * Which sub-model to train: a pure function of candidates and a budget. It never reads the device.
 *
 *     choose(candidates(artifact, calibration), Budget(ramMb = 150.0))
 *
 * A candidate is an exit, the layer groups that learn, and the plan that trains them; what it takes comes from the calibration
 * of this device, what it is expected to gain from the table `gains` in NAME.json.
 */

// Assumed: no phone tells what a step draws. A core of a phone at work, and a battery of 4000 mAh at 3.85 V.
private const val SCALE_BYTES = 4 // beside each step of an activation that is stored in 8 bits
const val CORE_WATTS = 2.0
const val BATTERY_JOULES = 4.0 * 3.85 * 3600

/**
 * One way to train, and what it takes and gives.
 *
 * @property exit of the artifact's, counted from 0.
 * @property trainableGroups in the artifact's order.
 * @property parts in which the plan cuts the step.
 * @property calls of signatures, in one step.
 * @property predictedPeakMb private memory of the process.
 * @property expectedReduction relative, of the WER; null: the artifact has no table of gains.
 * @property predictedDiskMb that a personalisation stores on disk while it trains.
 */
data class Candidate(
    val exit: Int,
    val trainableGroups: List<String>,
    val plan: String,
    val parts: Int,
    val calls: Int,
    val batch: Int,
    val trainableParameters: Long,
    val predictedPeakMb: Double,
    val predictedStepSeconds: Double,
    val predictedStepJoules: Double,
    val expectedReduction: Double?,
    val predictedDiskMb: Double = 0.0,
)

/**
 * What training may take; null does not limit.
 *
 * @property ramMb private memory of the process.
 * @property batteryFloorPercent what is to be left of it.
 * @property steps that battery and seconds have to do for.
 */
data class Budget(
    val ramMb: Double,
    val batteryPercent: Double? = null,
    val batteryFloorPercent: Double = 0.0,
    val seconds: Double? = null,
    val steps: Int = Settings().epochs * Settings().epochSteps, // that a personalisation takes at most
    val diskMb: Double? = null,
) {
    init {
        check("ram_mb", ramMb, ramMb > 0 && ramMb.isFinite(), "more than 0")
        batteryPercent?.let { check("battery_percent", it, it > 0 && it <= 100, "more than 0, at most 100") }
        check("battery_floor_percent", batteryFloorPercent, batteryFloorPercent in 0.0..100.0, "0 to 100")
        seconds?.let { check("seconds", it, it > 0 && it.isFinite(), "more than 0") }
        check("steps", steps.toDouble(), steps >= 1, "1 or more")
        diskMb?.let { check("disk_mb", it, it >= 0 && it.isFinite(), "0 or more") }
    }

    private fun check(name: String, value: Double, good: Boolean, expected: String) {
        if (!good) throw InputError("budget: $name: expected $expected, got ${if (value.isFinite()) general(value) else value}")
    }

    override fun toString(): String {
        val told = listOfNotNull(
            "${general(ramMb)} MB of RAM",
            batteryPercent?.let { "battery from ${general(it)}% to ${general(batteryFloorPercent)}%" },
            seconds?.let { "${general(it)} s" },
        )
        val forSteps = if (told.size > 1) " for $steps steps" else ""
        return told.joinToString() + forSteps + diskMb?.let { ", ${general(it)} MB on disk" }.orEmpty()
    }
}

/** A candidate that was not chosen, and why. */
data class Refused(val candidate: Candidate, val reasons: List<String>)

/**
 * The choice, and why not the others.
 *
 * @property chosen null: nothing fits.
 * @property refused all but the chosen one.
 * @property smallest where nothing fits: the least that one would fit into, if any does.
 */
class Selection(val chosen: Candidate?, val refused: List<Refused>, val smallest: Budget?)

/** What the artifact offers: each plan up to each call that trains groups, and what its table of gains has besides. */
fun candidates(artifact: Artifact, calibration: Calibration): List<Candidate> = artifact.plans.values.flatMap { plan ->
    val cost = calibration.plans.getValue(plan.name)
    trainable(plan, artifact).map { groups ->
        val calls = plan.needed(groups).calls.size
        val learning = artifact.groups.filter { it.name in groups }
        Candidate(
            exit = exit(plan, artifact),
            trainableGroups = learning.map { it.name },
            plan = plan.name,
            parts = plan.parts,
            calls = calls,
            batch = batch(plan, artifact),
            trainableParameters = learning.sumOf { it.parameters },
            predictedPeakMb = cost.peakMb(calls),
            predictedStepSeconds = cost.seconds(calls),
            predictedStepJoules = cost.cpuSeconds(calls) * CORE_WATTS,
            expectedReduction = expectedReduction(artifact.gains, groups),
            predictedDiskMb = diskMb(plan, artifact),
        )
    }
}

/**
 * Relative WER reduction that training these groups gave in earlier runs; for groups that were not tried, the most that any of
 * them that were tried gave; null without any table.
 */
fun expectedReduction(gains: List<Gain>, groups: Set<String>): Double? {
    if (gains.isEmpty()) return null
    gains.firstOrNull { it.groups == groups }?.let { return it.relativeWerReduction }
    return gains.filter { groups.containsAll(it.groups) }.maxOfOrNull { it.relativeWerReduction } ?: 0.0
}

/**
 * Of the candidates that fit, the one that is expected to gain most; of equals the fastest, then the smallest.
 *
 * Less of a budget never chooses a candidate that needs more of it: the order of the candidates does not depend on it.
 *
 * @param found at least one.
 * @param budget of this round.
 * @param exitLosses the loss of each exit on the owner's validation utterances; without them the last exit is the best.
 */
fun choose(found: List<Candidate>, budget: Budget, exitLosses: List<Double>? = null): Selection {
    val reasons = found.map { tooMuch(it, budget) }
    val fitting = found.filterIndexed { index, _ -> reasons[index].isEmpty() }
    if (fitting.isEmpty()) return Selection(null, found.zip(reasons, ::Refused), enough(found, budget))
    val order = Comparator<Candidate> { one, other ->
        criteria(one, exitLosses).values.zip(criteria(other, exitLosses).values)
            .map { (left, right) -> left.compareTo(right) }.firstOrNull { it != 0 } ?: 0
    }
    val chosen = fitting.minWith(order)
    val refused = found.zip(reasons).filter { (candidate, _) -> candidate !== chosen }.map { (candidate, why) ->
        Refused(candidate, why.ifEmpty { listOf(whyLess(candidate, chosen, exitLosses)) })
    }
    return Selection(chosen, refused, null)
}

/** The sets of groups that a plan can train. */
private fun trainable(plan: Plan, artifact: Artifact): List<Set<String>> {
    val offered = ArrayList<Set<String>>()
    for (call in plan.calls) if (call.updates.isNotEmpty()) offered.add(call.updates.toSet() + offered.lastOrNull().orEmpty())
    for (row in artifact.gains) if (offered.last().containsAll(row.groups) && row.groups !in offered) offered.add(row.groups)
    return offered
}

private fun batch(plan: Plan, artifact: Artifact): Int =
    artifact.signature(plan.calls[0].signature).inputs.first { it.name == "frames" }.shape[0]

/** What the plan `cached` stores for a personalisation with the default settings, all strings as long as can be. */
private fun diskMb(plan: Plan, artifact: Artifact): Double {
    if (!plan.stores) return 0.0
    val settings = Settings()
    val rowBytes = plan.storedInputs.filter { it.shape.size == 3 }.sumOf { (_, shape) -> shape[1].toLong() * (shape[2] + SCALE_BYTES) }
    val strings = settings.epochSteps * batch(plan, artifact) * settings.epochs / settings.cachedUses
    return strings * rowBytes / 1e6
}

/** The exit that a plan trains up to. */
private fun exit(plan: Plan, artifact: Artifact): Int {
    val last = artifact.exits.lastIndex
    val exit = artifact.planExits[plan.name] ?: last
    if (exit !in 0..last) {
        throw InputError("${artifact.path}: plan '${plan.name}': expected an exit from 0 to $last, got $exit; export again")
    }
    return exit
}

/** What a candidate needs of a budget's field, and what the budget has. */
private class Need(val needed: Double, val has: Double, val told: String)

/** By the budget's fields; limits alone. */
private fun needs(candidate: Candidate, budget: Budget): Map<String, Need> {
    val needs = LinkedHashMap<String, Need>()
    fun need(name: String, needed: Double, has: Double, told: String) = needs.set(name, Need(needed, has, told))
    val peak = candidate.predictedPeakMb
    need("ram_mb", peak, budget.ramMb, "needs ${fixed(peak, 1)} MB of RAM, the budget is ${general(budget.ramMb)} MB")
    budget.batteryPercent?.let {
        val needed = budget.batteryFloorPercent + 100 * candidate.predictedStepJoules * budget.steps / BATTERY_JOULES
        val floor = general(budget.batteryFloorPercent)
        val told = "needs a battery of ${fixed(needed, 1)}% for ${budget.steps} steps down to $floor%, it is at ${general(it)}%"
        need("battery_percent", needed, it, told)
    }
    budget.seconds?.let {
        val needed = candidate.predictedStepSeconds * budget.steps
        need("seconds", needed, it, "needs ${fixed(needed, 0)} s for ${budget.steps} steps, the budget is ${general(it)} s")
    }
    budget.diskMb?.let {
        val stored = candidate.predictedDiskMb
        need("disk_mb", stored, it, "stores ${fixed(stored, 1)} MB on disk, the budget is ${general(it)} MB")
    }
    return needs
}

/** Why it does not fit. */
private fun tooMuch(candidate: Candidate, budget: Budget): List<String> =
    needs(candidate, budget).values.filter { it.needed > it.has }.map { it.told }

/**
 * The budget raised as little as any candidate takes, by the figure that has to grow most; null where more than a full battery
 * would be needed for each.
 */
private fun enough(found: List<Candidate>, budget: Budget): Budget? = found.map { needs(it, budget) }
    .filter { needs -> needs["battery_percent"].let { it == null || it.needed <= 100 } }
    .minByOrNull { needs -> needs.values.maxOf { it.needed / maxOf(it.has, 1e-9) } }
    ?.let { needs ->
        fun raised(name: String): Double? = needs[name]?.let { if (it.needed > it.has) ceil(it.needed) else it.has }
        budget.copy(
            ramMb = raised("ram_mb")!!,
            batteryPercent = raised("battery_percent"),
            seconds = raised("seconds"),
            diskMb = raised("disk_mb"),
        )
    }

/** What decides between candidates that fit, the first first; less is better. */
private fun criteria(candidate: Candidate, exitLosses: List<Double>?): Map<String, Double> {
    val reduction = candidate.expectedReduction ?: 0.0
    val gain = if (exitLosses == null) {
        mapOf("exit" to 0.0 - candidate.exit, "expected WER reduction" to 0.0 - reduction)
    } else {
        mapOf("expected loss" to exitLosses[candidate.exit] * (1 - reduction))
    }
    return gain + mapOf(
        "parameters that learn" to -candidate.trainableParameters.toDouble(),
        "seconds a step" to candidate.predictedStepSeconds,
        "peak MB" to candidate.predictedPeakMb,
    )
}

private fun whyLess(candidate: Candidate, chosen: Candidate, exitLosses: List<Double>?): String {
    val theirs = criteria(chosen, exitLosses)
    for ((name, ours) in criteria(candidate, exitLosses)) {
        val better = theirs.getValue(name)
        if (ours != better) {
            return "fits, but another is better: $name ${grouped(abs(ours), 7)} against ${grouped(abs(better), 7)}"
        }
    }
    return "fits, and is as good as the chosen one"
}
