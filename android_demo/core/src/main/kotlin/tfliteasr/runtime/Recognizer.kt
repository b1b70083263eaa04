package tfliteasr.runtime

import java.io.File
import tfliteasr.InputError

/** A recogniser on the device: transcribes, trains, saves and restores what it learned. */
class Recognizer(val artifact: Artifact, val model: SignatureModel) : AutoCloseable {
    val config = artifact.config
    val tokenizer = artifact.tokenizer
    val groups = artifact.groups.map { it.name }
    var skippedUpdates = 0
        private set

    /**
     * samples [n] in [-1, 1] at the model's rate -> log-mel frames.
     *
     * Some frames of silence are added at the end, so that the last word comes out; an utterance that fills the model's
     * longest gets none.
     */
    fun features(samples: FloatArray): Frames {
        val features = config.features
        val most = features.samplesOf(config.sizes.maxFrames)
        if (samples.size > most) {
            throw InputError("expected at most ${seconds(most)} s, got ${seconds(samples.size)} s")
        }
        if (!samples.all { it.isFinite() }) throw InputError("expected finite samples, some are NaN or infinite")
        val length = minOf(features.framesOf(samples.size) + config.tailFrames, config.sizes.maxFrames)
        val result = model.run("features", mapOf("samples" to Tensor.floats(1, most).put(0, samples)))
        return Frames(result.getValue("frames").floats().copyOf(length * features.melBands), features.melBands)
    }

    private fun seconds(samples: Int): String = "%.2f".format(samples.toDouble() / config.features.sampleRate)

    /** An utterance to train on: its features and its transcript's tokens. */
    fun example(samples: FloatArray, text: String, where: String = ""): Example {
        val tokens = tokenizer.encode(text, where)
        if (tokens.size > config.sizes.maxTokens) {
            val place = where.ifEmpty { "transcript" }
            throw InputError("$place: expected at most ${config.sizes.maxTokens} tokens, got ${tokens.size}")
        }
        return Example(features(samples), tokens, tokenizer.decode(tokens.asIterable()), where)
    }

    /** What is said in samples: greedily, or by beam search. */
    fun transcribe(samples: FloatArray, beam: Boolean = false): String = transcribeFrames(features(samples), beam)

    /** The same for log-mel frames. */
    fun transcribeFrames(frames: Frames, beam: Boolean = false): String {
        if (beam) return tokenizer.decode(BeamSearch(model, config).best(frames)[0].tokens)
        val result = model.run("infer", paddedFrames(frames, config.sizes.maxFrames, config.features.melBands))
        return tokenizer.decode(result.getValue("tokens").ints().take(result.getValue("token_lengths").int(0)))
    }

    /** Loss of each utterance, in nats; any number of them, nothing changes. */
    fun loss(examples: List<Example>): List<Float> = examples.chunked(config.sizes.batch).flatMap { some ->
        model.run("loss", collate(some, config)).getValue("losses").floats().take(some.size)
    }

    /**
     * One update on up to `batch` utterances.
     *
     * @param learningRate of the artifact's optimizer.
     * @param clipNorm greatest norm of the gradient, of all groups together in the plan `train`, of each group in `split`;
     *     0 does not clip.
     * @param pull w -= learning_rate * pull * (w - shipped w) at every step; 0 does not.
     * @param groupRates factors on the learning rate by group name, 1 where not named; 0 leaves a group alone.
     * @param plan `train`, the whole step in one call, or another of the artifact's: the same in parts with less memory.
     * @param clipGlobally a plan in parts clips by the norm of all groups too; it takes twice as long.
     */
    fun trainStep(
        examples: List<Example>,
        learningRate: Float = 1e-3f,
        clipNorm: Float = 0f,
        pull: Float = 0f,
        groupRates: Map<String, Float> = emptyMap(),
        plan: String = "train",
        clipGlobally: Boolean = false,
    ): StepResult {
        checkGroups(groupRates)
        val known = artifact.plans[plan]
            ?: throw InputError("no plan named '$plan'; there are: ${artifact.plans.keys.sorted().joinToString()}")
        val rates = FloatArray(groups.size) { groupRates[groups[it]] ?: 1f }
        val values = collate(examples, config) + mapOf(
            "learning_rate" to Tensor.scalar(learningRate),
            "clip_norm" to Tensor.scalar(clipNorm),
            "pull" to Tensor.scalar(pull),
            "group_rates" to Tensor.floats(groups.size).put(0, rates),
        )
        val result = known.needed(groups.filterIndexedTo(HashSet()) { index, _ -> rates[index] != 0f })
            .step(model, values, clipGlobally)
        if (result.skipped) skippedUpdates++
        return result
    }

    /** [InputError] when a name is not of a layer group. */
    fun checkGroups(rates: Map<String, Float>) {
        val unknown = rates.keys - groups.toSet()
        if (unknown.isNotEmpty()) throw InputError("no such layer group: ${unknown.sorted()}; there are $groups")
    }

    /** Copies of the weights, optimizer slots and step, by tensor name. */
    fun state(): Map<String, Tensor> = model.run("get_weights")

    /** Put back what `state` returned. */
    fun setState(state: Map<String, Tensor>) {
        model.run("set_weights", state)
    }

    /** Write a checkpoint; the former file stays until the new one is whole. */
    fun save(path: File) {
        val state = state()
        saveCheckpoint(path, state, artifact.tfliteSha256, state.getValue("step").int(0))
    }

    /** Read a checkpoint of this artifact; returns its step. Nothing changes when it is refused. */
    fun restore(path: File): Int {
        val checkpoint = loadCheckpoint(path, artifact.tfliteSha256, artifact.state)
        setState(checkpoint.tensors)
        return checkpoint.step
    }

    override fun close() = model.close()
}
