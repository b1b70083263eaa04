package tfliteasr.personalization

import kotlin.math.PI
import kotlin.math.cos
import kotlin.random.Random
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.evaluate
import tfliteasr.runtime.processMemory

/**
 * One row of the history; epoch 0 is before training.
 *
 * @property trainLoss mean of the steps, nats an utterance; null before training.
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
)

/** What a personalisation did; the recogniser holds the weights of the best epoch. */
class Outcome(val history: List<Epoch>, val steps: Int, val seconds: Double, val stoppedBecause: StopReason)

/**
 * Train on one person's speech, keep the weights of the best epoch by validation WER, by loss on ties.
 *
 * Epoch 0 counts: when training never helps, the weights stay as they were.
 *
 * @param recognizer trained in place.
 * @param replay shipped utterances, mixed into the batches so that other voices and words are not forgotten.
 */
class Trainer(
    private val recognizer: Recognizer,
    private val data: TrainingData,
    private val settings: Settings,
    private val replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
) {
    private val started = System.nanoTime()
    private val history = ArrayList<Epoch>()
    private val groupRates = settings.groupRates.mapValues { it.value.toFloat() }
    private var step = 0

    fun personalize(): Outcome {
        recognizer.checkGroups(groupRates)
        val validation = data.validation()
        var bestState = recognizer.state()
        var lastBest = measure(validation, 0, null).epoch
        var stopped = StopReason.EPOCHS_DONE
        for (epoch in 1..settings.epochs) {
            val losses = ArrayList<Float>()
            val interrupted = train(epoch, losses)
            if (interrupted != null) {
                stopped = interrupted
                break
            }
            val finite = losses.filter { it.isFinite() }
            if (measure(validation, epoch, if (finite.isEmpty()) null else finite.average()).best) {
                lastBest = epoch
                bestState = recognizer.state()
            } else if (epoch - lastBest >= settings.patience) {
                stopped = StopReason.NO_GAIN
                break
            }
        }
        recognizer.setState(bestState)
        return Outcome(history, step, seconds(), stopped)
    }

    /** An epoch's steps; a reason when the listener stopped it. */
    private fun train(epoch: Int, losses: MutableList<Float>): StopReason? {
        val batches = batches(epoch)
        val progress = (epoch - 1).toDouble() / settings.epochs
        val rate = settings.learningRate * (0.1 + 0.45 * (1 + cos(PI * progress)))
        for ((index, batch) in batches.withIndex()) {
            listener.stopReason()?.let { return it }
            val result = recognizer.trainStep(
                batch,
                rate.toFloat(),
                settings.clipNorm.toFloat(),
                settings.pull.toFloat(),
                groupRates,
                settings.plan,
            )
            if (!result.skipped) step++
            losses.add(result.loss)
            listener.onStep(index + 1, batches.size, result.loss)
        }
        return null
    }

    private fun measure(validation: List<Example>, epoch: Int, trainLoss: Double?): Epoch {
        val wer = evaluate(recognizer, validation).rates.wer
        val loss = recognizer.loss(validation).average()
        val kept = history.lastOrNull { it.best }
        // weights that have no finite loss are not worth keeping, whatever they recognise
        val best = kept == null || (loss.isFinite() && isBetter(wer, loss, kept))
        val row = Epoch(epoch, step, seconds(), trainLoss, loss, wer, processMemory()?.residentMb, best)
        history.add(row)
        listener.onEpoch(row)
        return row
    }

    private fun isBetter(wer: Double, loss: Double, kept: Epoch): Boolean =
        wer < kept.validationWer || (wer == kept.validationWer && loss < kept.validationLoss)

    /** An epoch's batches, each with `settings.replay` shipped utterances where there are any. */
    private fun batches(epoch: Int): List<List<Example>> {
        val random = Random(settings.seed + 7919 * epoch)
        val batch = recognizer.config.sizes.batch
        val borrowed = if (replay.isEmpty()) 0 else minOf(settings.replay, batch - 1, replay.size)
        val size = batch - borrowed
        val own = ArrayList<Example>()
        var turn = 0
        while (own.size < maxOf(1, (settings.epochSteps - 1) * size + 1)) own += data.training(epoch, turn++, random)
        own.shuffle(random)
        return own.chunked(size).map { some -> some + replay.shuffled(random).take(borrowed) }
    }

    private fun seconds() = (System.nanoTime() - started) / 1e9
}
