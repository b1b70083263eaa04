package tfliteasr.runtime

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.audio.checkNotSilent
import tfliteasr.audio.checkSamples
import tfliteasr.data.alignmentProblem
import tfliteasr.data.checkAlignable
import tfliteasr.fixed
import tfliteasr.text.MOST_PHRASES
import tfliteasr.text.Phrase
import tfliteasr.text.checkPhrases
import tfliteasr.text.folded
import tfliteasr.text.inOneCase
import tfliteasr.text.withCaseOf

// tensors of a checkpoint beside those of the model
const val OWNER_MEANS = "owner_voice.means"
const val OWNER_THRESHOLD = "owner_voice.threshold"
const val LEARNED_PHRASES = "learned_phrases"

/** A text, and the exit that the encoder was left at, counted from 0. */
class EarlyText(val text: String, val exit: Int)

/** Log probabilities of the labels at an exit, one row a step, null at a transducer; and what decodes them. */
class ExitResult(val logProbabilities: List<FloatArray>?, val text: () -> String)

private const val NO_ALIGNMENT = 1e25f // nats; the file's losses are of the order of 1e30 where there is no alignment at all

/**
 * A recogniser on the device: transcribes, trains, saves and restores what it learned.
 *
 * Threads may share one: a training step, a transcription, a save runs from its beginning to its end before another thread's
 * begins. The sequence of [exits] lets others in between two exits, a [TextStream] between two chunks.
 */
class Recognizer(val artifact: Artifact, model: SignatureModel) : AutoCloseable {
    val model: SignatureModel = SharedModel(model)
    val config = artifact.config
    val tokenizer = artifact.tokenizer

    /** What the tokens of a second pass that decodes stand for; null without one, or where nobody can read them. */
    val subwords = artifact.subwords

    /** Of what trains. */
    val labels = artifact.labels
    val groups = artifact.groups.map { it.name }
    val background = artifact.voices

    /** Whose the learned weights are; null: they are used for every voice. */
    var owner: OwnerVoice? = null

    /** Whether error rates compare normalized texts. */
    var normalize = config.cased

    var skippedUpdates = 0
        private set

    /** An interpreter whose weights stay as they were shipped, made when it is first needed. */
    private val shipped = lazy { this.model.anew() }
    private val lastExit = artifact.exits.lastIndex

    /**
     * samples [n] in [-1, 1] at the model's rate -> frames, of log-mel bands or of a waveform stem.
     *
     * Silence is added as the configuration says, at the end so that the last word comes out, or on both sides; an
     * utterance that fills the model's longest gets none.
     */
    fun features(samples: FloatArray): Frames {
        checkSamples(samples)
        val features = config.features
        val most = features.samplesOf(config.sizes.maxFrames)
        if (samples.size > most) {
            throw InputError("expected at most ${seconds(most)} s, got ${seconds(samples.size)} s")
        }
        if (features is StemConfig && samples.size < features.windowSamples) {
            throw InputError("expected ${features.windowSamples} samples or more, got ${samples.size}; leave it out")
        }
        val edge = edgeOf(samples.size)
        val heard = samples.size + 2 * edge
        val length = minOf(features.framesOf(heard) + config.tailFrames, config.sizes.maxFrames)
        val holding = length + if (heard > features.samplesOf(length)) 1 else 0 // so that all samples are in
        val sizes = config.shortest(holding).sizes
        val signature = "features${sizes.suffix}"
        val padded = Tensor.floats(1, features.samplesOf(sizes.maxFrames)).put(edge, samples)
        val inputs = mapOf("samples" to padded) + sampleLengths(signature, heard)
        val frames = model.run(signature, inputs).getValue("frames").floats()
        return Frames(frames.copyOf(length * features.width), features.width)
    }

    /** The input that says how many samples are the utterance's, which log-mel frames do without. */
    private fun sampleLengths(signature: String, heard: Int): Map<String, Tensor> {
        val name = "sample_lengths"
        val asked = artifact.signature(signature).inputs.any { it.name == name }
        return if (asked) mapOf(name to Tensor.ints(1).put(0, intArrayOf(heard))) else emptyMap()
    }

    private fun seconds(samples: Int): String = fixed(samples.toDouble() / config.features.sampleRate, 2)

    /**
     * An utterance to train on: the features of samples that are not silent, and its transcript's tokens. Where the second pass
     * trains, a transcript without case gets that of what both passes hear.
     */
    fun example(samples: FloatArray, text: String, where: String = ""): Example {
        checkSamples(samples, where.ifEmpty { "samples" })
        checkNotSilent(samples, where.ifEmpty { "samples" })
        val plain = folded(text)
        val tokens = labelsOf(plain, where)
        val (features, least) = config.features to config.framesPerStep
        if (features.framesOf(samples.size) < least) {
            val (needed, got) = listOf(features.samplesOf(least), samples.size).map { it.toDouble() / features.sampleRate }
            throw InputError("${where.ifEmpty { "utterance" }}: expected $needed s of speech or more, got $got s; leave it out")
        }
        val frames = features(samples)
        val cased = cased(plain, frames)
        val learned = if (cased == plain) tokens else labelsOf(cased, where)
        return Example(frames, learned, labels.decode(learned.asIterable()), where)
    }

    /** Tokens to learn from a text; [InputError] if they are more than the file takes. */
    private fun labelsOf(text: String, where: String): IntArray {
        val tokens = labels.encode(text, where)
        if (tokens.size > config.maxLabels) {
            throw InputError("${where.ifEmpty { "transcript" }}: expected at most ${config.maxLabels} tokens, got ${tokens.size}")
        }
        return tokens
    }

    /**
     * A transcript of frames as the second pass is to write it, where that is what trains: one without case gets case and
     * punctuation of what is heard, see [withCaseOf].
     */
    fun cased(text: String, frames: Frames): String =
        if (config.trainsSecondPass && inOneCase(text)) withCaseOf(text, transcribeTwoPass(frames)) else text

    /** Whether frames are heard with the learned weights rather than the shipped ones. */
    fun hearsOwner(frames: Frames): Boolean = owner?.speaks(frames) ?: true

    /** Names that corrections taught: hotwords of every beam search that is given none. A checkpoint keeps them. */
    var learnedPhrases: List<String> = emptyList()
        set(phrases) {
            val found = phrases.map { Phrase(it) }
            if (found.isNotEmpty()) checkPhrases(found)
            val hotwords = if (found.isEmpty()) null else bonuses(found, artifact.hotwordWeight)
            synchronized(model) {
                field = found.map { it.text }
                learnedHotwords = hotwords
            }
        }

    private var learnedHotwords: Hotwords? = null

    /**
     * Take a correction: these [samples] say [text], and something else was written. Names among the words that were not heard
     * become [learnedPhrases] at once. To learn from the utterance as well, give [Correction.example] to a trainer,
     * [Example.weighing] [CORRECTION_WEIGHT].
     *
     * [InputError], and nothing changes, for the text that was heard, one that is far longer or shorter or cannot be aligned with
     * the audio, and samples that cannot be trained on.
     *
     * @param heard what was written; null: what [transcribe] writes.
     */
    fun correct(samples: FloatArray, text: String, heard: String? = null, where: String = ""): Correction {
        val example = example(samples, text, where)
        val written = heard?.let(::folded) ?: transcribe(samples)
        checkCorrection(text, written, normalize, where)
        alignmentProblem(example.tokens, example.frames.length, config)?.let {
            throw InputError("${where.ifEmpty { "correction" }}: cannot be aligned: $it; leave it out")
        }
        val names = namesIn(text, written, subwords, normalize).filter(::spells)
        val named = synchronized(model) {
            val known = learnedPhrases.map { it.lowercase() }.toSet()
            names.filter { it.lowercase() !in known }.take(MOST_PHRASES - known.size).also {
                if (it.isNotEmpty()) learnedPhrases = learnedPhrases + it
            }
        }
        return Correction(example, written, missedWords(text, written, normalize), named)
    }

    /** Whether both passes can write a name, which may be a hotword then. */
    private fun spells(name: String): Boolean = try {
        bonuses(listOf(Phrase(name)), artifact.hotwordWeight)
        true
    } catch (_: InputError) {
        false
    }

    /** Expect the names of a correction no longer; what was trained on it stays in the weights. */
    fun forget(correction: Correction) {
        val gone = correction.learned.map { it.lowercase() }.toSet()
        synchronized(model) { learnedPhrases = learnedPhrases.filter { it.lowercase() !in gone } }
    }

    /** Of the tokens of the first pass, and of a second pass that decodes. */
    private val spellings = listOfNotNull(tokenizer, subwords).map { lazy { Spellings(it.spellings()) } }

    /**
     * Phrases as this recogniser's beam searches take them, to be used for many utterances: names and other words that are
     * likelier today than the model thinks. A phrase counts where its words stand as whole words, in any case;
     * [learnedPhrases] count too.
     *
     * @param weight nats a letter.
     * @return null if the weight is 0: as without hotwords. Where there are [learnedPhrases], a list that switches them off as well.
     */
    fun hotwords(phrases: List<Phrase>, weight: Double = artifact.hotwordWeight): Hotwords? {
        checkPhrases(phrases)
        val given = phrases.map { it.text.lowercase() }.toSet()
        val hotwords = bonuses(phrases + learnedPhrases.filter { it.lowercase() !in given }.map { Phrase(it) }, weight)
        return if (weight > 0 || learnedPhrases.isNotEmpty()) hotwords else null
    }

    /** What the first pass's search adds for hotwords, or for the learned phrases. */
    internal fun first(hotwords: Hotwords?): TokenBonus? = (hotwords ?: learnedHotwords)?.first

    /** Of the first pass, and of a second pass that decodes. */
    private fun bonuses(phrases: List<Phrase>, weight: Double): Hotwords {
        val bonuses = listOfNotNull(tokenizer, subwords).zip(spellings) { tokenizer, spelled ->
            tokenBonus(phrases, weight, tokenizer, spelled.value, config.cased)
        }
        return Hotwords(bonuses[0], bonuses.getOrNull(1))
    }

    /**
     * What is said in samples: by beam search, through both passes where the second one decodes by itself; without
     * [beam] greedily, by the first pass alone.
     *
     * Once the owner's voice is known, another's is heard with the shipped weights.
     */
    fun transcribe(samples: FloatArray, beam: Boolean = true, hotwords: Hotwords? = null): String = features(samples).let {
        if (beam && subwords != null) transcribeTwoPass(it, hotwords = hotwords) else transcribeFrames(it, beam, hotwords)
    }

    /** The same for frames, by the first pass alone. */
    fun transcribeFrames(frames: Frames, beam: Boolean = false, hotwords: Hotwords? = null): String = synchronized(model) {
        checkBeam(beam, hotwords)
        if (beam) tokenizer.decode(best(frames, hotwords).tokens) else infer(modelFor(frames), frames, lastExit)
    }

    private fun checkBeam(beam: Boolean, hotwords: Hotwords?) {
        if (hotwords != null && !beam) {
            throw InputError("hotwords: expected beam search with them, the best label at each step is found without")
        }
    }

    /** What is said, greedily, at an exit. */
    private fun infer(model: SignatureModel, frames: Frames, exit: Int): String = decoded(run(model, "infer", frames, at(exit)))

    private fun decoded(result: Map<String, Tensor>): String =
        tokenizer.decode(result.getValue("tokens").ints().take(result.getValue("token_lengths").int(0)))

    /** The best hypothesis for frames; of the owner's, in a model with [Artifact.ownerViews], over their views. */
    private fun best(frames: Frames, hotwords: Hotwords?): Hypothesis {
        val model = modelFor(frames)
        val alone = !artifact.ownerViews || owner == null || model !== this.model
        return if (alone) nbest(model, frames, hotwords)[0] else likeliest(views(frames, config).map { nbest(model, it, hotwords)[0] })
    }

    private fun nbest(model: SignatureModel, frames: Frames, hotwords: Hotwords?): List<Hypothesis> {
        if (config.prediction != null) return BeamSearch(model, config.shortest(frames.length), first(hotwords)).best(frames)
        return prefixBeam(rows(run(model, "encode", frames), "log_probabilities"), hotwords)
    }

    /** Transcribe frames, leaving the encoder where the policy says. */
    fun transcribeEarly(
        frames: Frames,
        policy: ExitPolicy,
        beam: Boolean = false,
        hotwords: Hotwords? = null,
    ): EarlyText = synchronized(model) {
        checkBeam(beam, hotwords)
        if (policy.exit != null) {
            at(policy.exit) // refuses one that is not there
            if (lastExit == 0) return EarlyText(transcribeFrames(frames, beam, hotwords), 0)
            if (!beam) return EarlyText(infer(modelFor(frames), frames, policy.exit), policy.exit)
        } else if (lastExit == 0) {
            throw InputError("${artifact.path}: has no early exits to choose from")
        }
        val (exit, result) = exits(frames, beam, hotwords).withIndex().first { (exit, result) ->
            exit == lastExit || result.logProbabilities?.let { policy.leaves(exit, it) } ?: false
        }
        EarlyText(result.text(), exit)
    }

    /**
     * One exit after the other, of a model with early ones. Groups above an exit are not computed before the next exit is
     * asked for.
     */
    fun exits(frames: Frames, beam: Boolean = false, hotwords: Hotwords? = null): Sequence<ExitResult> = sequence {
        val model = modelFor(frames)
        val sizes = config.shortest(frames.length).sizes
        var inputs = paddedFrames(frames, sizes.maxFrames, config.features.width)
        for (exit in 0..lastExit) {
            val result = model.run("stage_$exit${sizes.suffix}", inputs)
            inputs = listOf("encoded", "encoded_lengths").associateWith(result::getValue)
            when {
                "log_probabilities" in result -> {
                    val steps = rows(result, "log_probabilities")
                    yield(ExitResult(steps) { textOf(steps, beam, hotwords) })
                }
                beam -> {
                    val encoded = rows(result, "encoded")
                    val search = BeamSearch(model, config, first(hotwords))
                    yield(ExitResult(null) { tokenizer.decode(search.bestOfEncoded(encoded)[0].tokens) })
                }
                else -> yield(ExitResult(null) { decoded(result) })
            }
        }
    }

    /** The input that says where to leave, which a model without early exits does not have. */
    internal fun at(exit: Int): Map<String, Tensor> {
        if (exit !in 0..lastExit) {
            throw InputError("expected an exit from 0 to $lastExit (${artifact.exits.joinToString { it.name }}), got $exit")
        }
        return if (lastExit > 0) mapOf("exit" to Tensor.ints(1).put(0, intArrayOf(exit))) else emptyMap()
    }

    private fun textOf(steps: List<FloatArray>, beam: Boolean, hotwords: Hotwords?): String {
        val tokens = if (beam) prefixBeam(steps, hotwords)[0].tokens else bestPath(steps)
        return tokenizer.decode(tokens.take(config.sizes.maxTokens))
    }

    private fun prefixBeam(steps: List<FloatArray>, hotwords: Hotwords?) =
        prefixBeamSearch(steps, config.sizes.beam, config.sizes.maxTokens, first(hotwords))

    /**
     * The hypotheses with what both passes say of them: the first pass's n-best; of a second pass that decodes its own, best
     * first, see [AttentionDecoder.nbest], and nothing where the first pass then hears nothing: a decoder would invent words.
     *
     * @param rescoring by which a second pass that decodes compares hypotheses.
     */
    fun candidates(
        frames: Frames,
        hotwords: Hotwords? = null,
        rescoring: Rescoring = artifact.rescoring,
    ): List<Candidate> = synchronized(model) {
        val model = modelFor(frames)
        val shortest = config.shortest(frames.length)
        val decoder = config.decoder
        if (decoder == null) {
            val passes = TwoPasses(model, artifact, shortest, first(hotwords))
            passes.advance(run(model, "encode", frames))
            return passes.candidates()
        }
        val result = run(model, "encode", frames)
        val labels = rows(result, "log_probabilities")
        if (bestPath(labels).isEmpty()) return emptyList()
        val scores = FirstPassScores(labels, tokenizer, checkNotNull(subwords))
        AttentionDecoder(model, shortest, decoder)
            .nbest(result.getValue("encoded"), labels.size, rescoring, scores, (hotwords ?: learnedHotwords)?.second)
    }

    /** Whether there is a second pass over the first one's n-best. */
    private val rescores: Boolean get() = config.decoder == null && "rescore" in artifact.signatures

    private fun textOf(tokens: List<Int>): String = (if (rescores) tokenizer else subwords)?.decode(tokens)
        ?: throw InputError("${artifact.path}: expected its decoder's subwords, got none; export it with them")

    /** What is said, by both passes: with case and punctuation where the second one decodes by itself. */
    fun transcribeTwoPass(frames: Frames, rescoring: Rescoring = artifact.rescoring, hotwords: Hotwords? = null): String =
        rescoring.best(candidates(frames, hotwords, rescoring))?.let { textOf(it.tokens) } ?: ""

    /**
     * The words of samples as [transcribe] writes them, with times and confidences; empty where nothing is said.
     */
    fun words(samples: FloatArray, hotwords: Hotwords? = null): List<Word> = synchronized(model) {
        timedWords(features(samples), transcribe(samples, hotwords = hotwords), samples)
    }

    /**
     * The words of a text that is said in frames, with times and confidences.
     *
     * @param samples that the frames were made of; their level moves the edges of words to those of speech.
     * @param secondPass whether the second pass wrote the text.
     */
    fun timedWords(
        frames: Frames,
        text: String,
        samples: FloatArray,
        secondPass: Boolean = config.decoder != null,
    ): List<Word> = synchronized(model) {
        val model = modelFor(frames)
        val aligner = WordAligner(model, config.shortest(frames.length), tokenizer, subwords)
        val aligned = aligner.align(run(model, "encode", frames), text, edgeOf(samples.size), secondPass)
        val rate = config.features.sampleRate
        fittedWords(timed(aligned, artifact.calibration, samples.size.toDouble() / rate), samples, rate)
    }

    /** Samples of silence that [features] puts before, and behind, so many samples. */
    private fun edgeOf(samples: Int): Int =
        minOf(config.edgeSamples, (config.features.samplesOf(config.sizes.maxFrames) - samples) / 2)

    /** A signature that takes a whole utterance, the one for the shortest length that holds it. */
    private fun run(
        model: SignatureModel,
        name: String,
        frames: Frames,
        more: Map<String, Tensor> = emptyMap(),
    ): Map<String, Tensor> {
        val sizes = config.shortest(frames.length).sizes
        return model.run(name + sizes.suffix, paddedFrames(frames, sizes.maxFrames, config.features.width) + more)
    }

    private fun modelFor(frames: Frames): SignatureModel = if (hearsOwner(frames)) model else shipped.value

    /** Loss of each utterance, in nats; any number of them, nothing changes. Infinite where the text cannot be aligned. */
    fun loss(examples: List<Example>): List<Float> = losses("losses", examples).single()

    /** Loss of each utterance at each exit, in nats: a list an exit. */
    fun exitLosses(examples: List<Example>): List<List<Float>> = losses(if (lastExit == 0) "losses" else "exit_losses", examples)

    /** Rows of an output of `loss` whose last axis is the batch. */
    private fun losses(output: String, examples: List<Example>): List<List<Float>> = synchronized(model) {
        val size = config.sizes.batch
        val parts = examples.chunked(size).map { some ->
            val sized = sizedFor(some, config)
            val result = model.run("loss${sized.sizes.suffix}", collate(some, sized), listOf(output))
            val rows = result.getValue(output).floats().asList().chunked(size)
            rows.map { row -> row.take(some.size).map { if (it > NO_ALIGNMENT) Float.POSITIVE_INFINITY else it } }
        }
        parts[0].indices.map { row -> parts.flatMap { it[row] } }
    }

    /**
     * Compute what the groups that the plan [CACHED] does not train put out, for [trainStep] with that plan. It holds as long as
     * the weights of these groups stay as they are.
     *
     * @param bits that an activation is stored in: 8 or 32.
     * @param folder a file for each utterance goes there; null: they are kept in memory.
     */
    fun cache(examples: List<Example>, bits: Int = 8, folder: File? = null): List<CachedExample> =
        examples.chunked(config.sizes.batch).flatMap { some ->
            checkAlignable(some, config)
            val sized = sizedFor(some, config)
            val outputs = synchronized(model) { plan(CACHED + sized.sizes.suffix).below(model, collate(some, sized)) }
            some.mapIndexed { row, example ->
                val packed = packedRow(outputs, row, bits)
                val stored = folder?.resolve("${(cached++).toString().padStart(8, '0')}.safetensors")?.let { path ->
                    storing(path) { packed.save(path) }
                    Stored.InFile(path)
                }
                CachedExample(
                    stored ?: Stored.InMemory(packed),
                    example.frameCount,
                    example.tokens,
                    example.text,
                    example.where,
                    example.weight,
                )
            }
        }

    private var cached = 0 // utterances whose activations were written to files

    private fun storing(path: File, write: () -> Unit) = try {
        path.parentFile.mkdirs()
        write()
    } catch (error: IOException) {
        throw InputError("$path: could not store activations: ${error.message}", error)
    }

    /**
     * One update on up to `batch` utterances.
     *
     * @param examples with the plan [CACHED] they may be what [cache] returned.
     * @param learningRate of the artifact's optimizer.
     * @param clipNorm greatest norm of the gradient, of all groups together in the plan `train`, of each group in `split`;
     *     0 does not clip.
     * @param pull w -= learning_rate * pull * (w - shipped w) at every step; 0 does not.
     * @param groupRates factors on the learning rate by group name, 1 where not named; 0 leaves a group alone. A group that the
     *     file holds frozen has 0.
     * @param plan `train`, the whole step in one call, or another of the artifact's: the same in parts with less memory, or [CACHED], the
     *     last part alone.
     * @param clipGlobally a plan in parts clips by the norm of all groups too; it takes twice as long.
     */
    fun trainStep(
        examples: List<Row>,
        learningRate: Float = 1e-3f,
        clipNorm: Float = 0f,
        pull: Float = 0f,
        groupRates: Map<String, Float> = emptyMap(),
        plan: String = "train",
        clipGlobally: Boolean = false,
    ): StepResult {
        checkGroups(groupRates)
        if (pull != 0f && !artifact.pulls) {
            throw InputError("${artifact.path}: exported without the shipped weights that pull=$pull needs")
        }
        val sized = sizedFor(examples, config)
        val step = plan(plan + sized.sizes.suffix)
        val below = if (step.stores) groups - step.trained else emptyList()
        below.filter { (groupRates[it] ?: 0f) != 0f }.let {
            if (it.isNotEmpty()) {
                val remedy = "give them rate 0, or take another plan"
                throw InputError("plan '${step.name}' does not train ${it.joinToString()}: what they put out is stored; $remedy")
            }
        }
        val untrained = artifact.frozenGroups + below
        val rates = FloatArray(groups.size) { groupRates[groups[it]] ?: if (groups[it] in untrained) 0f else 1f }
        val stored = storedRows(examples, step)
        val batch = if (stored == null) {
            val plain = examples.filterIsInstance<Example>()
            checkAlignable(plain, config)
            collate(plain, sized)
        } else {
            collateLabels(examples, sized)
        }
        val values = batch + mapOf(
            "learning_rate" to Tensor.oneValue(learningRate),
            "clip_norm" to Tensor.oneValue(clipNorm),
            "pull" to Tensor.oneValue(pull),
            "group_rates" to Tensor.floats(groups.size).put(0, rates),
        )
        val calls = step.needed(groups.filterIndexedTo(HashSet()) { index, _ -> rates[index] != 0f })
        return synchronized(model) { calls.step(model, values, clipGlobally, stored).also { if (it.skipped) skippedUpdates++ } }
    }

    /** What the groups below put out for utterances that are cached; null for others. */
    private fun storedRows(examples: List<Row>, plan: Plan): Map<String, Tensor>? {
        val cached = examples.filterIsInstance<CachedExample>()
        if (cached.isEmpty()) return null
        if (cached.size < examples.size || !plan.stores) {
            val expected = if (plan.stores) "utterances that are all cached" else "plan '$CACHED' for cached utterances"
            throw InputError("plan '${plan.name}': expected $expected, ${cached.size} of ${examples.size} are cached")
        }
        return collateRows(cached, plan.storedInputs)
    }

    /** The artifact's plan of this name, of any length; [InputError] when there is none. */
    fun plan(name: String): Plan = artifact.plans[name] ?: artifact.shorterPlans[name]
        ?: throw InputError("no plan named '$name'; there are: ${artifact.plans.keys.sorted().joinToString().ifEmpty { NO_PLAN }}${cutIt(name)}")

    private fun cutIt(plan: String): String = if (plan.startsWith(CACHED) && artifact.plans.isNotEmpty()) CUT else ""

    /** [InputError] when a name is not of a layer group that can be trained so. */
    fun checkGroups(rates: Map<String, Float>) {
        val unknown = rates.keys - groups.toSet()
        if (unknown.isNotEmpty()) throw InputError("no such layer group: ${unknown.sorted()}; there are $groups")
        val asked = artifact.frozenGroups.filter { (rates[it] ?: 0f) != 0f }
        if (asked.isNotEmpty()) {
            val names = asked.joinToString()
            throw InputError("${artifact.path}: cannot train $names: constants of the file; export it with --trainable")
        }
    }

    /** Copies of the weights, optimizer slots and step, by tensor name. */
    fun state(): Map<String, Tensor> = model.run("get_weights")

    /** Put back what `state` returned. */
    fun setState(state: Map<String, Tensor>) {
        model.run("set_weights", state)
    }

    /**
     * Write a checkpoint, with the owner's voice where it is known and [learnedPhrases]; the former file stays until the new one
     * is whole.
     */
    fun save(path: File) {
        val (state, known, phrases) = synchronized(model) { Triple(state(), owner, learnedPhrases) }
        val voice = known?.let {
            val means = Tensor.floats(it.owner.components, it.owner.width).put(0, it.owner.means)
            mapOf(OWNER_MEANS to means, OWNER_THRESHOLD to Tensor.scalar(it.threshold))
        }
        val names = if (phrases.isEmpty()) emptyMap() else mapOf(LEARNED_PHRASES to bytesOf(phrases))
        saveCheckpoint(path, state + voice.orEmpty() + names, artifact.tfliteSha256, state.getValue("step").int(0))
    }

    /** Read a checkpoint of this artifact; returns its step. Nothing changes when it is refused. */
    fun restore(path: File): Int {
        val voice = background?.let {
            val means = TensorSpec(OWNER_MEANS, listOf(it.components, it.width), DType.FLOAT32)
            listOf(means, TensorSpec(OWNER_THRESHOLD, emptyList(), DType.FLOAT32))
        }
        val optional = voice.orEmpty() + TensorSpec(LEARNED_PHRASES, listOf(-1), DType.INT8)
        val checkpoint = loadCheckpoint(path, artifact.tfliteSha256, artifact.state, optional)
        val phrases = checkpoint.tensors[LEARNED_PHRASES]?.let { phrasesOf(it, "$path") }.orEmpty()
        val (means, threshold) = checkpoint.tensors[OWNER_MEANS] to checkpoint.tensors[OWNER_THRESHOLD]
        val known = if (background == null || means == null || threshold == null) null else {
            OwnerVoice(background, background.withMeans(means.floats()), threshold.float(0))
        }
        synchronized(model) {
            learnedPhrases = phrases
            setState(checkpoint.tensors - setOf(OWNER_MEANS, OWNER_THRESHOLD, LEARNED_PHRASES))
            owner = known
        }
        return checkpoint.step
    }

    override fun close() {
        if (shipped.isInitialized()) shipped.value.close()
        model.close()
    }

    private companion object {
        const val CUT = "; export with --parts 2 or more"
        const val NO_PLAN = "none, every layer group is a constant of the file; export with --trainable"
    }
}
