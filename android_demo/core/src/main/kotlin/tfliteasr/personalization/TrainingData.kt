package tfliteasr.personalization

import kotlin.math.roundToInt
import kotlin.random.Random
import tfliteasr.InputError
import tfliteasr.data.Clip
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer

/** What one person said, ready to train on. */
interface TrainingData {
    /** Held out: never trained on. */
    fun validation(): List<Example>

    /** Utterances of an epoch, other ones each epoch and turn where the data can be varied. */
    fun training(epoch: Int, turn: Int, random: Random): List<Example>
}

/** Recordings, joined and augmented anew each time. */
class RecordedSpeech(
    private val recognizer: Recognizer,
    private val corpus: Corpus,
    utterances: List<Utterance>,
    private val settings: Settings,
) : TrainingData {
    val parts = split(utterances, settings.validationShare, settings.seed)

    override fun validation(): List<Example> = joined(parts.heldOut, epoch = 0, turn = 0).map { example(it, null) }

    override fun training(epoch: Int, turn: Int, random: Random): List<Example> =
        joined(parts.training, epoch, turn).map { example(it, random.takeIf { settings.augment }) }

    /** Strings of the utterances that leave room for slower speech and a pause. */
    private fun joined(utterances: List<Utterance>, epoch: Int, turn: Int): List<Clip> {
        val random = Random(settings.seed + 1000 * epoch + turn)
        return corpus.fittingClips(utterances, settings.connect, random, 0.75 * corpus.config.maxSeconds)
    }

    private fun example(clip: Clip, random: Random?): Example {
        val most = recognizer.config.features.samplesOf(recognizer.config.sizes.maxFrames)
        val varied = corpus.assemble(clip, random)
        val samples = if (varied.size <= most) varied else corpus.assemble(clip) // a long string, slowed down
        return recognizer.example(samples, clip.text, clip.where)
    }
}

/** Stored features, the same every epoch: what is left where recordings are not kept. */
class StoredSpeech(examples: List<Example>, settings: Settings) : TrainingData {
    private val parts = split(examples, settings.validationShare, settings.seed)

    override fun validation(): List<Example> = parts.heldOut

    override fun training(epoch: Int, turn: Int, random: Random): List<Example> = parts.training
}

class Split<T>(val training: List<T>, val heldOut: List<T>)

/** Training and validation utterances, disjoint: [share] of them held out by seed, at least one of each. */
fun <T> split(utterances: List<T>, share: Double, seed: Int): Split<T> {
    if (utterances.size < 2) {
        throw InputError("expected at least 2 utterances to adapt to (one is held out), got ${utterances.size}")
    }
    if (share <= 0 || share >= 1) throw InputError("validation share: expected more than 0 and less than 1, got $share")
    val count = (share * utterances.size).roundToInt().coerceIn(1, utterances.size - 1)
    val heldOut = utterances.indices.shuffled(Random(seed)).take(count).toSet()
    val (held, training) = utterances.withIndex().partition { it.index in heldOut }
    return Split(training.map { it.value }, held.map { it.value })
}
