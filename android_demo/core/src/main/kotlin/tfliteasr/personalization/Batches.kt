package tfliteasr.personalization

import tfliteasr.Generator
import tfliteasr.data.Clip
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.data.alignmentProblem
import tfliteasr.data.fittingClips
import tfliteasr.data.utteranceFrames
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Row
import tfliteasr.runtime.examplesOf

/* What a batch and a validation set are made of: joined and varied utterances of the owner, shipped ones beside them. */

private const val VALIDATION_UTTERANCES = 100 // that few held-out ones are varied into: one word more or less is to weigh little
private const val MOST_COPIES = 12 // of each, the recording itself among them

/** The held-out utterances as they are and, where training varies its own, varied copies: more to tell epochs by. */
fun validationExamples(recognizer: Recognizer, corpus: Corpus, heldOut: List<Utterance>, settings: Settings): List<Example> {
    val examples = examplesOf(recognizer, corpus, joined(corpus, heldOut, settings, epoch = 0))
    if (!settings.augment) return examples
    val random = Generator(settings.seed.toLong(), 0)
    return examples + (1 until validationCopies(heldOut.size)).flatMap { turn ->
        joined(corpus, heldOut, settings, epoch = 0, turn = turn).map { varied(recognizer, corpus, it, random) }
    }
}

/** How often each of so many held-out utterances is validated. */
fun validationCopies(heldOut: Int): Int = minOf((VALIDATION_UTTERANCES + heldOut - 1) / heldOut, MOST_COPIES)

/**
 * An epoch's batches: every utterance once, or as often as it takes to fill `settings.epochSteps`.
 *
 * @param epoch counted from 1.
 * @param cached of this training, for the plan `cached`: an epoch comes `settings.cachedUses` times.
 */
fun epochBatches(
    recognizer: Recognizer,
    corpus: Corpus,
    training: List<Utterance>,
    replay: List<Example>,
    settings: Settings,
    epoch: Int,
    random: Generator,
    cached: CachedBatches? = null,
): List<List<Row>> {
    val size = ownRows(recognizer, replay, settings)
    val own: MutableList<Row> = if (cached == null) {
        ownExamples(recognizer, corpus, training, settings, epoch, random, size).toMutableList()
    } else {
        val version = (epoch - 1) % ((settings.epochs + settings.cachedUses - 1) / settings.cachedUses)
        val drawn = Generator(settings.seed.toLong(), version.toLong())
        cached.rows(version) { ownExamples(recognizer, corpus, training, settings, version, drawn, size) }.toMutableList()
    }
    random.shuffle(own)
    return own.chunked(size).map { withReplay(recognizer, it, replay, settings, random, cached) }
}

/** The owner's rows of an epoch, of which a batch holds [size]. */
private fun ownExamples(
    recognizer: Recognizer,
    corpus: Corpus,
    training: List<Utterance>,
    settings: Settings,
    epoch: Int,
    random: Generator,
    size: Int,
): List<Example> {
    val own = ArrayList<Example>()
    var turn = 0
    while (own.size < maxOf(1, (settings.epochSteps - 1) * size + 1)) {
        for (clip in joined(corpus, training, settings, epoch, turn)) {
            val example = if (settings.augment) varied(recognizer, corpus, clip, random) else asRecorded(recognizer, corpus, clip)
            own.add(example)
        }
        turn++
    }
    return own
}

/** How many rows of a batch hold the owner's utterances; one at least. */
fun ownRows(recognizer: Recognizer, replay: List<Example>, settings: Settings): Int {
    val size = recognizer.config.sizes.batch
    return if (replay.isEmpty()) size else size - minOf(settings.replay, size - 1)
}

/** A batch of the owner's utterances and, where there are any, of `settings.replay` shipped ones. */
fun withReplay(
    recognizer: Recognizer,
    own: List<Row>,
    replay: List<Example>,
    settings: Settings,
    random: Generator,
    cached: CachedBatches? = null,
): List<Row> {
    val borrowed = recognizer.config.sizes.batch - ownRows(recognizer, replay, settings)
    if (borrowed == 0) return own
    return own + random.choice(replay.size, borrowed).flatMap { index ->
        rowsOf(cached, "replay" to index) { listOf(replay[index]) }
    }
}

private fun asRecorded(recognizer: Recognizer, corpus: Corpus, clip: Clip): Example =
    recognizer.example(corpus.assemble(clip), clip.text, clip.where)

/** A clip at another speed, level and noise; as recorded if it then no longer fits the model, or its text the audio. */
private fun varied(recognizer: Recognizer, corpus: Corpus, clip: Clip, random: Generator): Example {
    val samples = corpus.assemble(clip, random)
    val config = recognizer.config
    val tooLong = samples.size > config.features.samplesOf(config.sizes.maxFrames) // slowed down
    val tokens = recognizer.labels.encode(clip.text)
    if (tooLong || alignmentProblem(tokens, utteranceFrames(config, samples.size), config) != null) { // or sped up
        return asRecorded(recognizer, corpus, clip)
    }
    return recognizer.example(samples, clip.text, clip.where)
}

/** Strings of the utterances, other ones each epoch and turn, that leave room for slower speech and a pause. */
private fun joined(corpus: Corpus, utterances: List<Utterance>, settings: Settings, epoch: Int, turn: Int = 0): List<Clip> {
    val seed = settings.seed + 1000 * epoch + turn
    return fittingClips(corpus, utterances, settings.connect, seed, 0.75 * corpus.config.maxSeconds)
}
