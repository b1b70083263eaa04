package tfliteasr.runtime

import java.io.File
import java.io.IOException
import java.security.MessageDigest
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.TooNewError
import tfliteasr.readText
import tfliteasr.text.SubwordTokenizer
import tfliteasr.text.Tokenizer
import tfliteasr.text.decoderTokenizer
import tfliteasr.text.labelTokenizer
import tfliteasr.text.tokenizerFromJson

/** A layer group, in the order of the input `group_rates`. */
data class LayerGroup(val name: String, val parameters: Long, val bytes: Long, val activationBytes: Long)

/** A place where the encoder can be left, and the group before it. */
data class Exit(val name: String, val group: String)

/** What training these groups gained in earlier runs: [relativeWerReduction] of the word error rate. */
data class Gain(val groups: Set<String>, val relativeWerReduction: Double)

/** Whose weights [what] names, under which [licence], and the [source] that they were imported from. */
data class Licence(val what: String, val licence: String, val holder: String, val source: String)

/** Name, shape and dtype of a tensor that goes in or out. */
data class TensorSpec(val name: String, val shape: List<Int>, val dtype: DType)

/** A weight of a layer group; of a frozen group it is a constant of the file, not [trainable]. */
data class Parameter(val tensor: TensorSpec, val group: String, val trainable: Boolean)

/** What a signature takes and gives, and the layer groups that it changes. */
data class Signature(val name: String, val inputs: List<TensorSpec>, val outputs: List<String>, val writes: List<String>)

/** The artifact: NAME.tflite and, beside it, NAME.json, which says all that a host needs to run it. */
class Artifact(
    val name: String,
    val tfliteSha256: String,
    val config: ModelConfig,
    val tokenizer: Tokenizer,
    val groups: List<LayerGroup>,
    val parameters: List<Parameter>,
    val state: List<TensorSpec>, // the tensors of get_weights and set_weights
    val exits: List<Exit>,
    val signatures: Map<String, Signature>,
    val plans: Map<String, Plan>, // the ordered signature calls of one training step
    val path: File, // of the .tflite
    val gains: List<Gain> = emptyList(), // of earlier runs
    val planExits: Map<String, Int> = emptyMap(), // up to which exit, from 0, a plan trains
    val voices: Mixture? = null, // of many: what an owner's is compared with
    val licences: List<Licence> = emptyList(), // of weights that others trained; an app shows them
    val rescoring: Rescoring = Rescoring.untuned(config), // how two passes become one
    val hotwordWeight: Double = UNTUNED_HOTWORD_WEIGHT, // nats a letter of a hotword
    val ownerViews: Boolean = false, // whether the owner is recognised in several views, see [views]
    val calibration: Calibration = Calibration(), // of times and confidences of words
    val shorterPlans: Map<String, Plan> = emptyMap(), // `plans` for utterances of `sizes.lengths`
) {
    /** What the tokens of a second pass that decodes stand for; null without one, or where nobody can read them. */
    val subwords: SubwordTokenizer? by lazy { decoderTokenizer(config) }

    /** Of what trains: transcripts to learn from are spelled by this. */
    val labels: Tokenizer by lazy { labelTokenizer(config, tokenizer, subwords) }

    /** Whether training can draw the weights back to what was shipped. */
    val pulls: Boolean get() = signatures["train"]?.inputs.orEmpty().any { it.name == "pull" }

    /** The weights that training changes. */
    val trainable: List<TensorSpec> = parameters.filter { it.trainable }.map { it.tensor }

    /** The groups that cannot train. */
    val frozenGroups: List<String> =
        parameters.filter { it.trainable }.map { it.group }.toSet().let { live -> groups.map { it.name }.filter { it !in live } }

    fun signature(name: String): Signature =
        signatures[name] ?: throw InputError("$path: no signature $name; there are ${signatures.keys.joinToString()}")

    companion object {
        /** That are read; in format 1, inputs of one value have no dimensions and there is no digest. */
        val FORMATS = listOf(1L, 2L)
        private val NO_DIGEST = "0".repeat(64)
        private val BEGINNING = Regex("^\\{\n \"format\": [0-9]+,\n \"digest\": \"([0-9a-f]{64})\",\n")

        /** Read NAME.json and check that it belongs to NAME.tflite. */
        fun read(path: File): Artifact {
            if (!path.isFile) throw InputError("$path: no such .tflite file")
            val description = path.resolveSibling(path.nameWithoutExtension + ".json")
            if (!description.isFile) {
                throw InputError("$path: expected its description ${description.name} beside it; copy both files")
            }
            val text = readText(description, "the description of an exported model")
            val values = JsonObject.parse(text, description.path)
            if (values.long("format") == 2L && !digestMatches(text)) {
                throw InputError(
                    "$description: was changed or damaged since it was written, its digest does not match; copy it again",
                )
            }
            val artifact = fromJson(values, path)
            val digest = sha256(path)
            if (digest != artifact.tfliteSha256) {
                throw InputError(
                    "$path: its sha256 is ${digest.take(12)}..., ${description.name} was written for " +
                        "${artifact.tfliteSha256.take(12)}...; the two files are not a pair or one is damaged, copy both again",
                )
            }
            return artifact
        }

        /**
         * Whether the digest of NAME.json, at its beginning, is the sha256 of its text with zeros in place of the digest's
         * digits; byte order mark and carriage returns, which editors and git add, have been taken away.
         */
        fun digestMatches(text: String): Boolean {
            val digest = BEGINNING.find(text)?.groups?.get(1) ?: return false
            val blank = text.replaceRange(digest.range, NO_DIGEST)
            return hexadecimal(MessageDigest.getInstance("SHA-256").digest(blank.toByteArray())) == digest.value
        }

        /** What a text in the format of NAME.json describes. */
        fun fromJson(values: JsonObject, path: File): Artifact {
            val format = values.long("format")
            if (format !in FORMATS) {
                val problem = "${values.place}: expected format ${FORMATS.joinToString(" or ")}, got $format; export the model again"
                throw if (format > FORMATS.max()) TooNewError(problem) else InputError(problem)
            }
            if (format == 1L && "digest" in values) throw InputError("${values.place}: unexpected field digest")
            val signatures = objects(values.at("signatures")) { name, signature ->
                val inputs = signature.list("inputs").map { tensor(it, "name") }
                Signature(name, inputs, signature.strings("outputs"), signature.strings("writes"))
            }
            val config = ModelConfig.fromJson(values.at("model"))
            val exitsOf = if ("plan_exits" in values) values.at("plan_exits") else null
            return Artifact(
                name = values.string("name"),
                tfliteSha256 = values.string("tflite_sha256"),
                config = config,
                tokenizer = tokenizerFromJson(values.at("tokenizer")),
                groups = values.list("groups").map {
                    LayerGroup(it.string("name"), it.long("parameters"), it.long("bytes"), it.long("activation_bytes"))
                },
                parameters = values.list("parameters").map {
                    Parameter(tensor(it, "tensor"), it.string("group"), it.boolean("trainable"))
                },
                state = values.list("state").map { tensor(it, "tensor") },
                exits = values.list("exits").map { Exit(it.string("name"), it.string("group")) },
                signatures = signatures,
                plans = plans(values.at("plans"), signatures),
                path = path,
                gains = if ("gains" in values) values.list("gains").map(::gain) else emptyList(),
                planExits = exitsOf?.names?.associateWith { exitsOf.int(it) } ?: emptyMap(),
                voices = if ("voices" in values) Mixture.fromJson(values.at("voices")) else null,
                licences = if ("licences" in values) values.list("licences").map(::licence) else emptyList(),
                rescoring = if ("rescoring" in values) Rescoring.fromJson(values.at("rescoring")) else Rescoring.untuned(config),
                hotwordWeight = if ("hotwords" in values) values.at("hotwords").double("weight") else UNTUNED_HOTWORD_WEIGHT,
                ownerViews = "owner_views" in values && values.boolean("owner_views"),
                calibration = if ("calibration" in values) Calibration.fromJson(values.at("calibration")) else Calibration(),
                shorterPlans = if ("shorter_plans" in values) plans(values.at("shorter_plans"), signatures) else emptyMap(),
            )
        }

        private fun plans(values: JsonObject, signatures: Map<String, Signature>): Map<String, Plan> =
            values.names.associateWith { Plan(it, values.list(it).map(Call::fromJson), signatures) }

        private fun gain(row: JsonObject) = Gain(row.strings("groups").toSet(), row.double("relative_wer_reduction"))

        private fun licence(row: JsonObject) =
            Licence(row.string("what"), row.string("licence"), row.string("holder"), row.string("source"))

        private fun <T> objects(values: JsonObject, make: (String, JsonObject) -> T): Map<String, T> =
            values.names.associateWith { make(it, values.at(it)) }

        private fun tensor(values: JsonObject, name: String): TensorSpec {
            val code = values.string("dtype")
            val dtype = DType.of(code) ?: throw InputError("${values.place}: no such dtype: $code")
            return TensorSpec(values.string(name), values.shape("shape").toList(), dtype)
        }
    }
}

/** Hexadecimal digest of a file. */
fun sha256(path: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    try {
        path.inputStream().use { stream ->
            val buffer = ByteArray(1 shl 16)
            while (true) {
                val count = stream.read(buffer)
                if (count < 0) break
                digest.update(buffer, 0, count)
            }
        }
    } catch (error: IOException) {
        throw InputError("$path: cannot be read (${error.message})", error)
    }
    return hexadecimal(digest.digest())
}

internal fun hexadecimal(bytes: ByteArray): String = bytes.joinToString("") { "%02x".format(it) }
