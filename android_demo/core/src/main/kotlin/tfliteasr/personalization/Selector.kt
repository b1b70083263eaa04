package tfliteasr.personalization

import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Plan
import tfliteasr.runtime.Tensor

/**
 * One way to train, and what it takes.
 *
 * @property memoryMb estimated from the artifact: weights and optimizer slots, and of the call that takes most, the
 *     gradients and activations of the groups that it writes.
 */
data class Candidate(val plan: String, val calls: Int, val memoryMb: Double)

/** What the artifact offers, a candidate a plan. */
fun candidates(artifact: Artifact): List<Candidate> {
    val stateBytes = artifact.state.sumOf { Tensor.byteSize(it.dtype, it.shape.toIntArray()).toLong() }
    return artifact.plans.values.map { plan ->
        Candidate(plan.name, plan.calls.size, (stateBytes + largestCall(plan, artifact)) / 1e6)
    }
}

private fun largestCall(plan: Plan, artifact: Artifact): Long = plan.calls.maxOf { call ->
    val written = artifact.signature(call.signature).writes
    artifact.groups.filter { it.name in written }.sumOf { it.bytes + it.activationBytes }
}

/** The candidate with the fewest calls, so the fastest, that fits into [budgetMb]; null when none does. Reads no device. */
fun choose(candidates: List<Candidate>, budgetMb: Double): Candidate? =
    candidates.filter { it.memoryMb <= budgetMb }.minWithOrNull(compareBy({ it.calls }, { it.memoryMb }))
