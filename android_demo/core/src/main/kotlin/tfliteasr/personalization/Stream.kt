package tfliteasr.personalization

import java.io.File
import kotlin.math.round
import tfliteasr.Generator
import tfliteasr.runtime.DType
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.TensorSpec
import tfliteasr.runtime.loadCheckpoint
import tfliteasr.runtime.saveCheckpoint

private const val POSITION = "position" // tensor of a saved state: round, steps of it that were taken, steps in all, new utterances
private const val AVERAGE = "average" // these two are saved without the optimizer's slots,
private const val BEST = "best" // which only the trained weights need

/**
 * Personalisation as a phone does it: utterances come one after the other, the window keeps some, steps are taken.
 *
 * After every `pace.stride` new utterances `pace.steps` steps are taken on what the window holds. All that is drawn at random
 * depends on the seed, the round and the window alone, so training that was interrupted after any step and goes on in another
 * process ends with the same weights.
 *
 * @param recognizer trained in place.
 * @param window what is kept of the utterances; every few of them validate and are not trained on.
 * @param settings how; `epochs`, `epochSteps` and `patience` have no meaning here.
 * @param replay shipped utterances, mixed into the batches.
 * @param mayGoOn asked after every step; training pauses at the end of a step when it says no.
 */
class StreamTrainer(
    private val recognizer: Recognizer,
    val window: Window,
    private val settings: Settings,
    private val pace: Pace,
    private val replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
    private val mayGoOn: () -> Boolean = { true },
) {
    private val strings = Strings(recognizer, settings.connect, settings.augment)
    private val kept = KeptAverage(recognizer, settings, listener::onEpoch)
    private val taker = Steps(recognizer, settings)
    private val period = maxOf(2, round(1 / settings.validationShare).toInt())
    private var round = 0
    private var taken = 0 // steps of the round
    private var steps = 0
    private var new = 0

    /** Store a new utterance and train when it is time to; whether training went through, see [goOn]. */
    fun hear(example: Example): Boolean {
        window.add(example)
        new++
        return new < pace.stride || goOn()
    }

    /** Train for the last utterances, fewer than a stride, with their share of the steps. */
    fun finish(): Boolean = new == 0 || goOn()

    /** Take what is left of a round's steps; false when [mayGoOn] said no before they were all taken. */
    fun goOn(): Boolean {
        val numbers = window.numbers
        if (numbers.size < 2) return true // too few yet; they count for the next round
        // in a small window there may be none of them: the newest has not been trained on either
        val weights = numbers.associateWith { window.read(it).weight }
        val plain = numbers.filter { weights[it] == 1 } // what was corrected is learned from
        val chosen = plain.filter { it % period == period / 2 }.ifEmpty { plain.ifEmpty { numbers }.takeLast(1) }
        val heldOut = if (chosen.size == numbers.size) chosen.takeLast(1) else chosen // others were forgotten
        val (seed, number) = settings.seed.toLong() to (round + 1).toLong()
        val validation = strings.validation(heldOut, window::read, Generator(seed, number, 0))
        if (round == 0 && taken == 0) kept.begin(validation)
        val training = (numbers - heldOut.toSet()).flatMap { kept -> List(weights.getValue(kept)) { kept } }
        val losses = withCachedBatches(recognizer, settings) { train(training, seed, number, it) } ?: return false
        kept.update(round + 1, steps, meanFinite(losses), validation, moved = true)
        round++
        taken = 0
        new = 0
        return true
    }

    /** The rest of a round's steps: their losses, or null when training pauses. */
    private fun train(training: List<Int>, seed: Long, number: Long, cached: CachedBatches?): List<Float>? {
        val size = ownRows(recognizer, replay, settings)
        val drawn = strings.endless(training, window::read, Generator(seed, number, 1))
        val count = (pace.steps * new + pace.stride - 1) / pace.stride
        // with the plan `cached` the rows of a step are those of `cachedUses` steps
        val different = if (cached == null) count else (count + settings.cachedUses - 1) / settings.cachedUses
        repeat(if (cached == null) size * taken else 0) { drawn.next() } // seen before an interruption
        val reused = if (cached == null) emptyList() else List(different) { List(size) { drawn.next() } }
        val losses = ArrayList<Float>()
        while (taken < count) {
            val version = taken % different
            val varied = Generator(seed, number, 2, version.toLong())
            val parts = reused.getOrNull(version) ?: List(size) { drawn.next() }
            val own = rowsOf(cached, version) { parts.map { strings.example(it, varied) } }
            val random = if (cached == null) varied else Generator(seed, number, 3, taken.toLong())
            val batch = withReplay(recognizer, own, replay, settings, random, cached)
            val result = taker.take(batch, settings.rate(recognizer.config))
            taken++
            if (!result.skipped) steps++
            losses.add(result.loss)
            listener.onStep(taken, count, result.loss)
            if (!mayGoOn() && taken < count) return null
        }
        return losses
    }

    /** What was done; the recogniser holds the best weights from here on. */
    fun outcome(stoppedBecause: StopReason): Outcome {
        recognizer.setState(kept.bestState)
        return Outcome(kept.history, steps, kept.seconds, stoppedBecause)
    }

    /** Write all that [restore] needs but the window, which is on disk already. */
    fun save(path: File) {
        val position = Tensor.ints(4).put(0, intArrayOf(round, taken, steps, new))
        val state = recognizer.state() + named(AVERAGE, kept.average) + named(BEST, kept.bestState) + (POSITION to position)
        saveCheckpoint(path, state, recognizer.artifact.tfliteSha256, steps)
    }

    /** Go on from where [save] was called; InputError when the file is not one of this artifact or damaged. */
    fun restore(path: File) {
        val artifact = recognizer.artifact
        val copies = listOf(AVERAGE, BEST).flatMap { name -> artifact.trainable.map { it.copy(name = "$name.${it.name}") } }
        val expected = artifact.state + copies + TensorSpec(POSITION, listOf(4), DType.INT32)
        val tensors = loadCheckpoint(path, artifact.tfliteSha256, expected).tensors
        val trained = artifact.state.associate { it.name to tensors.getValue(it.name) }
        recognizer.setState(trained)
        kept.average = trained + artifact.trainable.associate { it.name to tensors.getValue("$AVERAGE.${it.name}") }
        kept.bestState = trained + artifact.trainable.associate { it.name to tensors.getValue("$BEST.${it.name}") }
        val position = tensors.getValue(POSITION).ints()
        round = position[0]
        taken = position[1]
        steps = position[2]
        new = position[3]
    }

    private fun named(name: String, tensors: Map<String, Tensor>): Map<String, Tensor> =
        recognizer.artifact.trainable.associate { "$name.${it.name}" to tensors.getValue(it.name) }
}
