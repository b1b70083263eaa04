package tfliteasr.personalization

import tfliteasr.runtime.DType
import tfliteasr.runtime.Example
import tfliteasr.runtime.ExitPolicy
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.evaluate
import tfliteasr.runtime.processMemory

private const val TIE = 0.05 // validation WERs that are closer than this, and than one word of the held-out speech, are equal

/**
 * One row of the history; epoch 0 is before training. In a sliding window an epoch is the steps of one stride.
 *
 * @property trainLoss mean of the steps, nats an utterance; null before training.
 * @property rssMb null where the system does not tell.
 */
data class Epoch(
    val epoch: Int,
    val step: Int,
    val seconds: Double,
    val trainLoss: Double?,
    val validationLoss: Double,
    val validationWer: Double,
    val rssMb: Double?,
    val best: Boolean,
) {
    /** Its fields, with null for losses that are not finite, which JSON does not have. */
    fun toJson(): Map<String, Any?> = mapOf(
        "epoch" to epoch,
        "step" to step,
        "seconds" to seconds,
        "train_loss" to trainLoss?.takeIf { it.isFinite() },
        "validation_loss" to validationLoss.takeIf { it.isFinite() },
        "validation_wer" to validationWer,
        "rss_mb" to rssMb,
        "best" to best,
    )
}

/**
 * What a personalisation did; the recogniser holds the weights of the best epoch.
 *
 * @property interrupted told to stop, in the middle of an epoch.
 */
class Outcome(
    val history: List<Epoch>,
    val steps: Int,
    val seconds: Double,
    val stoppedBecause: StopReason,
    val interrupted: Boolean = false,
    val stretched: Stretched? = null,
)

/** Extrapolated weights that are kept in place of the best epoch's, and their validation. */
class Stretched(val factor: Double, val validationWer: Double, val validationLoss: Double)

/**
 * A moving average of the weights over the epochs (Izmailov et al. 2018, arXiv 1803.05407), the best one kept.
 *
 * Single epochs of few utterances scatter more than the few held-out ones can tell. Epoch 0 counts: when training never helps,
 * the weights stay as they were.
 *
 * @param recognizer trained by others; here its weights are exchanged to measure and put back.
 * @param settings how much an epoch moves the average.
 * @param onEpoch told of every row of the history.
 * @param heldOutWords of the speech to validate on, copies not counted; 1 where it changes.
 */
open class KeptAverage(
    private val recognizer: Recognizer,
    private val settings: Settings,
    private val onEpoch: (Epoch) -> Unit = {},
    heldOutWords: Int = 1,
) {
    private val tie = minOf(TIE, 1.0 / maxOf(1, heldOutWords))
    private val started = System.nanoTime()
    private val firstState: Map<String, Tensor> = recognizer.state()
    var average: Map<String, Tensor> = firstState
        internal set
    var bestState: Map<String, Tensor> = average
        internal set
    val history = ArrayList<Epoch>()

    /** Since the beginning. */
    val seconds: Double get() = (System.nanoTime() - started) / 1e9

    /** What weights are compared by. */
    protected class Measured(val wer: Double, val loss: Double)

    /** Epoch 0, or the last one before an interruption: the weights as they are. */
    fun begin(validation: List<Example>, epoch: Int = 0) = note(epoch, 0, null, measured(validation), best = true)

    /**
     * Move the average towards the weights that the recogniser has, measure it; whether it is the best so far.
     *
     * The best by validation WER, by loss on ties: of all epochs within one word of the lowest WER, that of the lowest loss on
     * all of the owner's speech, since the held-out part of it is small. Weights that have no finite validation loss, or on the
     * same speech a higher WER than at the beginning, are not worth keeping.
     *
     * @param validation what to measure on.
     * @param moved these are other utterances than the last time, so the kept weights are measured on them too.
     */
    fun update(epoch: Int, step: Int, trainLoss: Double?, validation: List<Example>, moved: Boolean): Boolean {
        val trained = recognizer.state()
        average = moved(average, trained, maxOf(settings.averaging, 1.0 / epoch))
        val kept = if (moved) keptOn(validation) else history.last { it.best }.let { Measured(it.validationWer, it.validationLoss) }
        // training losses of two rounds are of other utterances as well
        val keptTrainLoss = if (moved) null else history.last { it.best }.trainLoss
        val first = if (moved) Double.POSITIVE_INFINITY else history[0].validationWer
        val lowest = if (moved) kept.wer else history.filter { it.validationLoss.isFinite() || it.best }.minOf { it.validationWer }
        recognizer.setState(average)
        val now = measured(validation)
        val most = minOf(lowest, now.wer) + tie // more is another WER than the lowest
        val lower = isLower(now.loss, kept.loss, trainLoss, keptTrainLoss)
        val best = now.loss.isFinite() && now.wer <= first && now.wer < most && (kept.wer >= most || lower)
        if (best) bestState = average
        note(epoch, step, trainLoss, now, best)
        recognizer.setState(trained)
        return best
    }

    /**
     * Extrapolate the best weights, to `settings.stretch` times their change from the first ones, unless they then make more errors on
     * what validates, by a word or more. A pull, and an average over the epochs, keep weights closer to the first ones than is best
     * for speech that was not trained on. Null where the best epoch's weights stay.
     */
    fun stretch(validation: List<Example>): Stretched? {
        val factor = settings.stretch ?: 1.0
        if (factor == 1.0 || bestState === firstState) return null
        val weights = recognizer.artifact.trainable.map { it.name }.toSet()
        val stretched = bestState.mapValues { (name, value) ->
            if (name in weights) moved(firstState.getValue(name), value, factor) else value
        }
        recognizer.setState(stretched)
        val now = measured(validation)
        if (!now.loss.isFinite() || now.wer >= history.last { it.best }.validationWer + tie) return null
        bestState = stretched
        return Stretched(factor, now.wer, now.loss)
    }

    private fun keptOn(validation: List<Example>): Measured {
        recognizer.setState(bestState)
        return measured(validation)
    }

    /**
     * Of two epochs, whether the loss on all of the owner's speech is lower; on the held-out part alone where one of them took
     * no steps or the training losses do not compare.
     */
    private fun isLower(loss: Double, keptLoss: Double, trainLoss: Double?, keptTrainLoss: Double?): Boolean {
        if (trainLoss == null || keptTrainLoss == null) return loss < keptLoss
        val share = settings.validationShare
        return (1 - share) * trainLoss + share * loss < (1 - share) * keptTrainLoss + share * keptLoss
    }

    /** Measure the weights that the recogniser has. */
    protected open fun measured(validation: List<Example>): Measured {
        val bothPasses = if (recognizer.config.trainsSecondPass) recognizer.artifact.rescoring else null
        val wer = evaluate(recognizer, validation, policy = settings.exit?.let { ExitPolicy(it) }, rescoring = bothPasses).rates.wer
        val losses = settings.exit?.let { recognizer.exitLosses(validation)[it] } ?: recognizer.loss(validation)
        return Measured(wer, losses.average())
    }

    private fun note(epoch: Int, step: Int, trainLoss: Double?, measured: Measured, best: Boolean) {
        val memory = processMemory()?.residentMb
        history.add(Epoch(epoch, step, seconds, trainLoss, measured.loss, measured.wer, memory, best))
        onEpoch(history.last())
    }
}

/** The mean of those that are finite, null when none is. */
fun meanFinite(losses: List<Float>): Double? = losses.filter { it.isFinite() }.ifEmpty { null }?.average()

/** The average with [share] of a state in it; what is not float32 is the state's. */
private fun moved(average: Map<String, Tensor>, state: Map<String, Tensor>, share: Double): Map<String, Tensor> =
    state.mapValues { (name, value) -> if (value.dtype == DType.FLOAT32) moved(average.getValue(name), value, share) else value }

/** From [old] to [new], [share] of the way. */
private fun moved(old: Tensor, new: Tensor, share: Double): Tensor {
    val (from, to) = old.floats() to new.floats()
    return Tensor(new.dtype, new.shape).put(0, FloatArray(from.size) { from[it] + share.toFloat() * (to[it] - from[it]) })
}
