package tfliteasr.personalization

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.round
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Row
import tfliteasr.runtime.StepResult

class Split<T>(val training: List<T>, val heldOut: List<T>)

/**
 * The settings for a model, with the pull and the stretch of a training on so many utterances: by default [FEW_PULL] and
 * [FEW_STRETCH] where none of them is held out, else none; none either for a file that cannot pull.
 */
fun settingsFor(recognizer: Recognizer, settings: Settings, utterances: Int): Settings {
    val fitted = settings.forModel(recognizer.config)
    val few = fitted.pull == null && fitted.areFew(utterances) && recognizer.artifact.pulls
    return fitted.copy(
        pull = fitted.pull ?: if (few) FEW_PULL else 0.0,
        stretch = fitted.stretch ?: if (few) FEW_STRETCH else 1.0,
    )
}

/**
 * The utterances to train on and those to validate on: what [split] gives or, of fewer than [Settings.leastToHoldOut],
 * all for both. Two or three held-out utterances rank epochs by chance, and words are missing from the training that
 * nothing else has.
 */
fun <T> trainingAndValidation(utterances: List<T>, settings: Settings): Split<T> =
    if (utterances.size in 2 until settings.leastToHoldOut) {
        Split(utterances, utterances)
    } else {
        split(utterances, settings.validationShare, settings.seed)
    }

/** Training and validation utterances, disjoint: [share] of them held out by seed, at least one of each. */
fun <T> split(utterances: List<T>, share: Double, seed: Int): Split<T> {
    if (utterances.size < 2) {
        throw InputError("expected at least 2 utterances to adapt to (one is held out), got ${utterances.size}")
    }
    if (!(share > 0 && share < 1)) throw InputError("validation share: expected more than 0 and less than 1, got $share")
    val count = round(share * utterances.size).toInt().coerceIn(1, utterances.size - 1)
    val heldOut = Generator(seed.toLong(), 7).permutation(utterances.size).take(count).toSet()
    val (held, training) = utterances.withIndex().partition { it.index in heldOut }
    return Split(training.map { it.value }, held.map { it.value })
}

/** How many words are said in utterances. */
internal fun wordsOf(utterances: List<Utterance>): Int =
    utterances.sumOf { utterance -> utterance.text.split(Regex("\\s+")).count { it.isNotEmpty() } }

/**
 * Train on [utterances], keep the weights of the best epoch by validation WER, by loss on ties.
 *
 * @param recognizer trained in place.
 * @param corpus holds the utterances' audio.
 * @param utterances of one person; a share is held out for validation, see [trainingAndValidation].
 * @param replay shipped utterances, mixed into the batches so that other voices and words are not forgotten.
 */
fun personalize(
    recognizer: Recognizer,
    corpus: Corpus,
    utterances: List<Utterance>,
    settings: Settings,
    replay: List<Example> = emptyList(),
    listener: TrainingListener = object : TrainingListener {},
): Outcome {
    val fitted = settingsFor(recognizer, settings, utterances.size)
    val parts = trainingAndValidation(utterances, fitted)
    return Epochs(recognizer, corpus, parts.heldOut, fitted, replay, listener).train(parts.training)
}

/**
 * Trains in epochs, on growing speech if need be; what it is validated on stays the same.
 *
 * @param heldOut the utterances to validate on.
 * @param settings how to validate; training may have others.
 * @param listener told of each step.
 */
class Epochs(
    private val recognizer: Recognizer,
    private val corpus: Corpus,
    heldOut: List<Utterance>,
    private val settings: Settings,
    private val replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
) {
    private val words = wordsOf(heldOut)
    val validation: List<Example> = validationExamples(recognizer, corpus, heldOut, settings)

    /** Steps of an epoch, and why training must stop after the last of them. */
    private class Taken(val results: List<StepResult>, val reason: StopReason?)

    /**
     * Train from the weights that the recogniser has; afterwards it has the best.
     *
     * @param training the utterances to learn from.
     * @param how to train.
     * @param done epochs of an interrupted training, which are not done again.
     * @param mustStop asked after every step; training ends at the end of a step for which it gives a reason.
     * @param onEpoch told of every row of the history.
     */
    fun train(
        training: List<Utterance>,
        how: Settings = settings,
        done: Int = 0,
        mustStop: () -> StopReason? = { null },
        onEpoch: (Epoch) -> Unit = listener::onEpoch,
    ): Outcome {
        val kept = KeptAverage(recognizer, how, onEpoch, words)
        kept.begin(validation, done)
        return withCachedBatches(recognizer, how) { epochs(kept, training, how, done, mustStop, it) }
    }

    private fun epochs(
        kept: KeptAverage,
        training: List<Utterance>,
        how: Settings,
        done: Int,
        mustStop: () -> StopReason?,
        cached: CachedBatches?,
    ): Outcome {
        val steps = Steps(recognizer, how)
        var (step, lastBest) = 0 to done
        var stopped = StopReason(Kind.EPOCHS_DONE, "all ${how.epochs} epochs done")
        var interrupted = false
        for (epoch in done + 1..how.epochs) {
            val random = Generator(how.seed.toLong(), epoch.toLong())
            val batches = epochBatches(recognizer, corpus, training, replay, how, epoch, random, cached)
            val progress = (epoch - 1).toDouble() / how.epochs
            val rate = how.rate(recognizer.config) * (0.1 + 0.45 * (1 + cos(PI * progress)))
            val taken = take(steps, batches, rate, mustStop)
            step += taken.results.count { !it.skipped }
            if (taken.reason != null) {
                stopped = taken.reason
                interrupted = true
                break
            }
            if (kept.update(epoch, step, meanFinite(taken.results.map { it.loss }), validation, moved = false)) {
                lastBest = epoch
            } else if (epoch - lastBest >= how.patience) {
                stopped = StopReason(Kind.NO_GAIN, "no better validation result for ${how.patience} epochs")
                break
            }
        }
        val stretched = if (interrupted) null else kept.stretch(validation)
        recognizer.setState(kept.bestState)
        return Outcome(kept.history, step, kept.seconds, stopped, interrupted, stretched)
    }

    private fun take(steps: Steps, batches: List<List<Row>>, rate: Double, mustStop: () -> StopReason?): Taken {
        val results = ArrayList<StepResult>()
        for ((index, batch) in batches.withIndex()) {
            results.add(steps.take(batch, rate))
            listener.onStep(index + 1, batches.size, results.last().loss)
            mustStop()?.let { return Taken(results, it) }
        }
        return Taken(results, null)
    }
}
