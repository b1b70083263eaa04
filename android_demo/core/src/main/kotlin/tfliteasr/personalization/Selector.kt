package tfliteasr.personalization

import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Call
import tfliteasr.runtime.Plan
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.TensorSpec

/**
 * One way to train, and what it takes.
 *
 * @property trained the layer groups that learn; those below are left alone.
 * @property calls of signatures in one step.
 * @property memoryMb estimated from the artifact: weights and optimizer slots, and of the call that takes most, the
 *     gradients and activations of the groups that it changes and what is held from earlier calls for it and later ones.
 */
data class Candidate(val plan: String, val trained: List<String>, val calls: Int, val memoryMb: Double)

/** What the artifact offers: each plan whole, and with groups left alone, from the lowest on, where that saves memory. */
fun candidates(artifact: Artifact): List<Candidate> = artifact.plans.values.flatMap { plan ->
    val groups = artifact.groups.map { it.name }
    groups.indices
        .map { lowest -> groups.drop(lowest).let { candidate(artifact, plan.needed(it.toSet()), it) } }
        .distinctBy { it.memoryMb }
}

private fun candidate(artifact: Artifact, plan: Plan, trained: List<String>): Candidate {
    val stateBytes = artifact.state.sumOf { byteSize(it) }
    val largestCall = plan.calls.indices.maxOf { changedBytes(artifact, plan.calls[it]) + heldBytes(artifact, plan, it) }
    return Candidate(plan.name, trained, plan.calls.size, (stateBytes + largestCall) / 1e6)
}

private fun changedBytes(artifact: Artifact, call: Call): Long {
    val changed = artifact.signature(call.signature).writes
    return artifact.groups.filter { it.name in changed }.sumOf { it.bytes + it.activationBytes }
}

/** Outputs of calls before [at] that it or a later one takes. */
private fun heldBytes(artifact: Artifact, plan: Plan, at: Int): Long {
    val given = plan.calls.take(at).map { it.signature }
    val held = HashMap<String, Long>()
    for (call in plan.calls.drop(at)) {
        val inputs = artifact.signature(call.signature).inputs.associateBy { it.name }
        for ((input, source) in call.takes) {
            if (source.substringBeforeLast('.') in given) held[source] = byteSize(inputs.getValue(input))
        }
    }
    return held.values.sum()
}

private fun byteSize(spec: TensorSpec): Long = Tensor.byteSize(spec.dtype, spec.shape.toIntArray()).toLong()

/**
 * Of what fits into [budgetMb], the candidate that trains most groups, and of these the one with the fewest calls, so the
 * fastest; null when none fits. Reads no device.
 */
fun choose(candidates: List<Candidate>, budgetMb: Double): Candidate? = candidates
    .filter { it.memoryMb <= budgetMb }
    .minWithOrNull(compareBy({ -it.trained.size }, { it.calls }, { it.memoryMb }))
