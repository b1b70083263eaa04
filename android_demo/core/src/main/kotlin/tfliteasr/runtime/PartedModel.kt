package tfliteasr.runtime

import tfliteasr.InputError

private const val READ = "get_weights"
private const val WRITE = "set_weights"
private val IN_EVERY_PART = setOf(READ, WRITE, "parameters")

/**
 * The model of an artifact: one interpreter for a file with one length, parts for one with several.
 *
 * @param open makes an interpreter of some signatures of the file; null: of all.
 */
fun modelOf(artifact: Artifact, open: (Set<String>?) -> SignatureModel): SignatureModel =
    partsOf(artifact).let { parts -> if (parts.size > 1) PartedModel(artifact, parts, open) else open(null) }

/**
 * The signatures of each part: for each length those that recognise, and those of plans and `loss`. Signatures of weights
 * are in every part. One part for a file with one length.
 */
fun partsOf(artifact: Artifact): List<Set<String>> {
    val names = artifact.signatures.keys
    val lengths = listOf("") + artifact.config.sizes.lengths.map { artifact.config.atLength(it).sizes.suffix }
    if (lengths.size == 1) return listOf(names)
    val calls = (artifact.plans.values + artifact.shorterPlans.values).flatMap { it.calls }.map { it.signature }
    val training = calls.toSet() + lengths.map { "loss$it" }
    val parts = (names - IN_EVERY_PART).groupBy { name ->
        lengths.filter { name.endsWith(it) }.maxByOrNull { it.length }.orEmpty() to (name in training)
    }
    return parts.values.map { it.toSet() + (IN_EVERY_PART intersect names) }
}

/**
 * Signatures of several lengths, loaded by what they are for: recognising or training, at one of the lengths. Interpreters
 * are made at the first call of a signature of their part, so that the runtime packs no weights that nothing needs. All have
 * the same weights: before a call, a part takes over the variables that changed in another one.
 *
 * @param artifact tells what each signature writes.
 * @param parts the signatures of each part, see [partsOf].
 * @param open makes the interpreter of a part.
 */
class PartedModel(
    private val artifact: Artifact,
    private val parts: List<Set<String>>,
    private val open: (Set<String>?) -> SignatureModel,
) : SignatureModel {
    private val loaded = HashMap<Set<String>, SignatureModel>()
    private val versions = HashMap<Set<String>, Int>() // of the variables in each loaded part
    private var newest: Set<String>? = null // the part whose variables changed last; null: they are as shipped
    private val file = identity()

    override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
        val part = partOf(name)
        val model = model(part)
        newest?.let {
            if (versions.getValue(part) < versions.getValue(it) && name != WRITE) {
                model.run(WRITE, loaded.getValue(it).run(READ), emptyList())
                versions[part] = versions.getValue(it)
            }
        }
        val result = model.run(name, inputs, outputs)
        if (artifact.signature(name).writes.isNotEmpty()) {
            versions[part] = versions.values.max() + 1
            newest = part
        }
        return result
    }

    override fun anew() = PartedModel(artifact, parts, open)

    override fun close() = loaded.values.forEach { it.close() }

    /** A part with a signature: if there are several, the one that changed last, or one that is loaded. */
    private fun partOf(name: String): Set<String> {
        artifact.signature(name)
        val holding = parts.filter { name in it }
        return holding.firstOrNull { it == newest } ?: holding.firstOrNull { it in loaded } ?: holding.first()
    }

    private fun model(part: Set<String>): SignatureModel = loaded.getOrPut(part) {
        if (identity() != file) throw InputError("${artifact.path}: has changed since it was loaded; load the model again")
        versions[part] = 0
        open(part)
    }

    /** Differs once another file stands at the artifact's path. */
    private fun identity() = artifact.path.length() to artifact.path.lastModified()
}
