package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * One signature call of a plan.
 *
 * @property takes input name -> `signature.output` of an earlier call. An input that is not here is the batch's tensor
 *     or the scalar of its name.
 */
data class PlanCall(val signature: String, val takes: Map<String, String>) {
    companion object {
        fun fromJson(values: JsonObject): PlanCall {
            val takes = if ("takes" in values) values.at("takes") else null
            return PlanCall(values.string("signature"), takes?.names?.associateWith { takes.string(it) } ?: emptyMap())
        }
    }
}

/**
 * The ordered signature calls of one training step.
 *
 * What a call gives is kept until the last call that takes it and no longer: between the forward and the backward call
 * of a part lie the activations, the largest tensors there are.
 */
class Plan(val name: String, val calls: List<PlanCall>, private val signatures: Map<String, Signature>) {
    private val lastTaken = HashMap<String, Int>() // `signature.output` -> the last call that takes it

    init {
        val given = HashSet<String>()
        for ((index, call) in calls.withIndex()) {
            val inputs = signature(call).inputs.map { it.name }
            for ((input, source) in call.takes) {
                if (input !in inputs) fail(index, "${call.signature} has no input $input")
                if (source !in given) fail(index, "${call.signature} takes $source, which no earlier call gives")
                lastTaken[source] = index
            }
            signature(call).outputs.mapTo(given) { "${call.signature}.$it" }
        }
    }

    /**
     * Run every call.
     *
     * @param values the batch's tensors and the scalars, by name.
     * @return what the calls gave of [RESULTS], the later call's where two gave it.
     */
    fun run(model: SignatureModel, values: Map<String, Tensor>): Map<String, Tensor> {
        val held = HashMap<String, Tensor>()
        val results = HashMap<String, Tensor>()
        for ((index, call) in calls.withIndex()) {
            val inputs = signature(call).inputs.associate { (input) ->
                val source = call.takes[input]
                val tensor = if (source == null) values[input] else held[source]
                input to (tensor ?: fail(index, "${call.signature} needs $input, which is neither in the batch nor taken"))
            }
            val wanted = signature(call).outputs.filter { it in RESULTS || "${call.signature}.$it" in lastTaken }
            val outputs = model.run(call.signature, inputs, wanted)
            for ((output, tensor) in outputs) {
                if (output in RESULTS) results[output] = tensor
                held["${call.signature}.$output"] = tensor
            }
            held.keys.removeAll { (lastTaken[it] ?: 0) <= index }
        }
        return results
    }

    private fun signature(call: PlanCall): Signature = signatures[call.signature]
        ?: throw InputError("plan $name: no signature ${call.signature}; there are ${signatures.keys.joinToString()}")

    private fun fail(index: Int, problem: String): Nothing =
        throw InputError("plan $name, call ${index + 1}: $problem; export the model again")

    companion object {
        val RESULTS = setOf("loss", "losses", "gradient_norm", "skipped")
    }
}
