package tfliteasr.runtime

import kotlin.math.sqrt
import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * One call of a plan.
 *
 * @property takes inputs that are outputs of earlier calls: input -> `signature.output`; all others are the step's own.
 * @property updates layer groups that it trains.
 */
data class Call(val signature: String, val takes: Map<String, String> = emptyMap(), val updates: List<String> = emptyList()) {
    companion object {
        fun fromJson(values: JsonObject): Call {
            val takes = if ("takes" in values) values.at("takes") else null
            return Call(
                values.string("signature"),
                takes?.names?.associateWith { takes.string(it) } ?: emptyMap(),
                if ("updates" in values) values.strings("updates") else emptyList(),
            )
        }
    }
}

/** A training step as an ordered list of signature calls, read from the artifact: whole or in parts, one code path. */
class Plan(val name: String, val calls: List<Call>, private val signatures: Map<String, Signature>) {
    init {
        val given = HashSet<String>()
        for ((index, call) in calls.withIndex()) {
            val inputs = signature(call).inputs.map { it.name }
            for ((input, source) in call.takes) {
                if (input !in inputs) fail(index, "${call.signature} has no input $input")
                if (source !in given) fail(index, "${call.signature} takes $source, which no call before it puts out")
            }
            signature(call).outputs.mapTo(given) { "${call.signature}.$it" }
        }
    }

    /** In how many parts it cuts the step: its calls that train. */
    val parts: Int get() = calls.count { it.updates.isNotEmpty() }

    /** Whether outputs of its calls before the first update may be stored, see [CachedExample]. */
    val stores: Boolean get() = name.startsWith(CACHED)

    /** The layer groups that it trains. */
    val trained: Set<String> get() = calls.flatMapTo(LinkedHashSet()) { it.updates }

    /** The first call that updates anything: what it takes is what may be stored. */
    internal val firstUpdate: Call get() = calls.first { it.updates.isNotEmpty() }

    /** What [firstUpdate] takes from the calls before it, as its signature's inputs have it. */
    internal val storedInputs: List<TensorSpec> get() = signature(firstUpdate).inputs.filter { it.name in firstUpdate.takes }

    /** Run the calls before [firstUpdate]; what it takes of them, by its inputs. */
    internal fun below(model: SignatureModel, values: Map<String, Tensor>): Map<String, Tensor> {
        val found = HashMap<String, Tensor>() // by `signature.output`
        for (call in calls.takeWhile { it.updates.isEmpty() }) {
            val inputs = signature(call).inputs.associate { (input) -> input to (call.takes[input]?.let(found::getValue) ?: values.getValue(input)) }
            model.run(call.signature, inputs).forEach { (output, tensor) -> found["${call.signature}.$output"] = tensor }
        }
        return firstUpdate.takes.mapValues { (_, source) -> found.getValue(source) }
    }

    /** The plan up to the last call that trains any group of [trained]; below it nothing has to be done. */
    fun needed(trained: Set<String>): Plan {
        val updating = calls.indices.filter { calls[it].updates.isNotEmpty() }
        if (updating.isEmpty()) return this
        // the first to update is the one that gives the loss
        val last = updating.lastOrNull { index -> calls[index].updates.any { it in trained } } ?: updating.first()
        return Plan(name, calls.take(last + 1), signatures)
    }

    /**
     * One training step.
     *
     * @param values the batch's tensors and the scalars by name; each call gets those that it takes from no other call.
     * @param twoPasses run a plan in parts once to learn the norm of the whole gradient, then again to clip by it; else
     *     each group is clipped by its own.
     * @param stored what [firstUpdate] takes, by its inputs: the calls before it are left out. Null: they run.
     */
    fun step(
        model: SignatureModel,
        values: Map<String, Tensor>,
        twoPasses: Boolean = false,
        stored: Map<String, Tensor>? = null,
    ): StepResult {
        if (!twoPasses || calls.size == 1) return pass(model, values, EACH_ITS_OWN, stored)
        val measured = pass(model, values, MEASURE_ONLY, stored)
        return if (measured.skipped) measured else pass(model, values, measured.gradientNorm, stored)
    }

    private fun pass(
        model: SignatureModel,
        values: Map<String, Tensor>,
        globalNorm: Float,
        stored: Map<String, Tensor>?,
    ): StepResult {
        val given = values + ("global_norm" to Tensor.oneValue(globalNorm))
        val held = HashMap<String, Tensor>() // by `signature.output`, from the call that gives to the last that takes
        stored?.forEach { (input, tensor) -> held[firstUpdate.takes.getValue(input)] = tensor }
        var (loss, squareNorm, skipped) = Triple(Float.NaN, 0.0, false)
        for ((index, call) in calls.withIndex()) {
            if (stored != null && call.updates.isEmpty()) continue
            val inputs = signature(call).inputs.associate { (input) ->
                val source = call.takes[input]
                val tensor = if (source == null) given[input] else held[source]
                input to (tensor ?: fail(index, "${call.signature} needs $input, which is neither in the batch nor taken"))
            }
            val later = calls.drop(index + 1).flatMapTo(HashSet()) { it.takes.values }
            val wanted = signature(call).outputs.filter { it in RESULTS || "${call.signature}.$it" in later }
            val outputs = model.run(call.signature, inputs, wanted)
            held.keys.retainAll(later)
            outputs.forEach { (output, tensor) -> if ("${call.signature}.$output" in later) held["${call.signature}.$output"] = tensor }
            outputs["gradient_norm"]?.float(0)?.toDouble()?.let { squareNorm += it * it }
            outputs["skipped"]?.let { skipped = skipped || it.int(0) != 0 }
            outputs["loss"]?.let { loss = it.float(0) }
            if (outputs["proceed"]?.int(0) == 0) break // loss or rates are not finite: nothing below may be touched
        }
        return StepResult(loss, sqrt(squareNorm).toFloat(), skipped)
    }

    private fun signature(call: Call): Signature = signatures[call.signature]
        ?: throw InputError("plan $name: no signature ${call.signature}; there are ${signatures.keys.joinToString()}")

    private fun fail(index: Int, problem: String): Nothing =
        throw InputError("plan $name, call ${index + 1}: $problem; export the model again")

    private companion object {
        val RESULTS = setOf("loss", "gradient_norm", "skipped", "proceed")
        const val EACH_ITS_OWN = 0f
        const val MEASURE_ONLY = -1f
    }
}

/**
 * What one training step reports.
 *
 * @property loss nats an utterance, before the update.
 * @property gradientNorm before clipping.
 * @property skipped loss, gradient or a rate was not finite: nothing was changed, or by parts, not all.
 */
data class StepResult(val loss: Float, val gradientNorm: Float, val skipped: Boolean)
