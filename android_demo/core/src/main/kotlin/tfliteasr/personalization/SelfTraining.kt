package tfliteasr.personalization

import kotlin.math.PI
import kotlin.math.cos
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.data.alignable
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.runtime.CORRECTION_WEIGHT
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer

/*
 * Learning from speech without transcripts, with or without some that has them: rounds of pseudo-labels and steps.
 *
 * Each round labels the speech anew with the moving average of the weights (a teacher as in Higuchi et al. 2021, momentum
 * pseudo-labelling, arXiv 2106.08922), trains on what is kept and on the transcribed speech, and validates the average. Weights
 * are kept on evidence alone: the word error rate of held-out transcripts, or, where nothing is transcribed, how often augmented
 * views of held-out speech are heard as the recording is.
 */

private const val LEAST_UTTERANCES = 4 // without transcripts
private const val MOST_VALIDATED = 60 // utterances without transcripts whose views are compared
private const val VALIDATED_VIEWS = 3 // of each
private const val LABELLED_SHARE = 1.0 / 3 // of what is trained on, at least, where there are transcripts

/**
 * How speech without transcripts is learned from.
 *
 * @property steps of a round.
 */
data class SelfTraining(val rounds: Int = 4, val steps: Int = 75, val rules: PseudoLabelRules = PseudoLabelRules())

/** What a round learned from speech without transcripts: how many were [kept], and why the others were not. */
class Labelled(val kept: Int, val refused: Map<Refusal, Int>)

/**
 * Trains on transcribed utterances and on others.
 *
 * @param recognizer trained in place.
 * @param corpus holds the audio of all utterances.
 * @param labelled with transcripts; may be none. Of fewer than [Settings.leastToHoldOut] none is held out: train on them before, with
 *     [personalize], since pseudo-labels are as good as the weights that make them.
 * @param unlabelled without; [InputError] for fewer than four.
 * @param settings how steps are taken; epochs and patience have no meaning here.
 * @param selfTraining how speech without transcripts is used.
 * @param corrected utterances that were heard wrong: none is held out, and each is trained on [CORRECTION_WEIGHT] times as often.
 * @param replay shipped utterances, mixed into the batches.
 */
class SelfTrainer(
    private val recognizer: Recognizer,
    private val corpus: Corpus,
    labelled: List<Utterance>,
    unlabelled: List<Utterance>,
    private val settings: Settings,
    private val selfTraining: SelfTraining = SelfTraining(),
    corrected: List<Utterance> = emptyList(),
    private val replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
) {
    private val labelled: List<Utterance>
    private val unlabelled: List<Utterance>
    private val validation: List<Example>
    private val kept: KeptAverage

    /** A row a round. */
    val rounds = ArrayList<Labelled>()

    /** Whether held-out transcripts are the evidence, rather than how views of held-out speech agree. */
    val validatedByTranscripts: Boolean = labelled.size > 1 && !settings.areFew(labelled.size)

    init {
        if (unlabelled.size < LEAST_UTTERANCES) {
            throw InputError("expected $LEAST_UTTERANCES utterances without transcripts or more, got ${unlabelled.size}")
        }
        val own: List<Utterance>
        if (validatedByTranscripts) {
            val parts = split(labelled, settings.validationShare, settings.seed)
            own = parts.training
            this.unlabelled = unlabelled
            validation = validationExamples(recognizer, corpus, parts.heldOut, settings)
            kept = KeptAverage(recognizer, settings, listener::onEpoch, wordsOf(parts.heldOut))
        } else {
            val parts = split(unlabelled, settings.validationShare, settings.seed)
            own = labelled
            this.unlabelled = parts.training
            validation = emptyList()
            kept = KeptByAgreement(recognizer, settings, listener::onEpoch, corpus, parts.heldOut.take(MOST_VALIDATED))
        }
        this.labelled = own + List(CORRECTION_WEIGHT) { corrected }.flatten()
    }

    /** All rounds; the recogniser holds the best weights afterwards, those that it had where none were better. */
    fun train(): Outcome {
        kept.begin(validation)
        val steps = Steps(recognizer, settings)
        var taken = 0
        var stopped = StopReason(Kind.ROUNDS_DONE, "all ${selfTraining.rounds} rounds done")
        for (number in 1..selfTraining.rounds) {
            val training = labelledAnew(number)
            if (training.isEmpty()) {
                stopped = StopReason(Kind.NO_GAIN, "round $number: no utterance is confident enough to learn from")
                break
            }
            val losses = take(steps, training, number)
            taken += losses.size
            kept.update(number, taken, meanFinite(losses), validation, moved = false)
        }
        recognizer.setState(kept.bestState)
        return Outcome(kept.history, taken, kept.seconds, stopped)
    }

    /** What a round trains on. */
    private fun labelledAnew(number: Int): List<Utterance> {
        val trained = recognizer.state()
        recognizer.setState(kept.average)
        val random = Generator(settings.seed.toLong(), 19, number.toLong())
        val labels = pseudoLabels(recognizer, corpus, unlabelled, selfTraining.rules, random)
        recognizer.setState(trained)
        val found = alignable(corpus, labels.utterances).kept
        rounds += Labelled(found.size, labels.refused)
        if (labelled.isEmpty() || found.isEmpty()) return found
        val wanted = found.size * LABELLED_SHARE / (1 - LABELLED_SHARE)
        return found + List(maxOf(1, Math.rint(wanted / labelled.size).toInt())) { labelled }.flatten()
    }

    /** The losses of a round's steps that were not skipped; the learning rate falls over all rounds. */
    private fun take(steps: Steps, training: List<Utterance>, number: Int): List<Float> {
        val (perRound, all) = selfTraining.steps to selfTraining.rounds * selfTraining.steps
        val losses = ArrayList<Float>()
        var (epoch, taken) = 0 to 0
        while (taken < perRound) {
            epoch++
            val turn = 1000 * number + epoch
            val random = Generator(settings.seed.toLong(), turn.toLong())
            for (batch in epochBatches(recognizer, corpus, training, replay, settings, turn, random).take(perRound - taken)) {
                val progress = ((number - 1) * perRound + taken).toDouble() / all
                val result = steps.take(batch, settings.rate(recognizer.config) * (0.1 + 0.45 * (1 + cos(PI * progress))))
                taken++
                if (!result.skipped) losses += result.loss
                listener.onStep(taken, perRound, result.loss)
            }
        }
        return losses
    }
}

/**
 * The average whose views agree best: the share of views of held-out speech that are heard otherwise takes the place of the word
 * error rate.
 */
private class KeptByAgreement(
    private val recognizer: Recognizer,
    private val settings: Settings,
    onEpoch: (Epoch) -> Unit,
    private val corpus: Corpus,
    private val watched: List<Utterance>,
) : KeptAverage(recognizer, settings, onEpoch, watched.size) {
    /** The share of views that disagree; twice, since there is no loss without a transcript. */
    override fun measured(validation: List<Example>): Measured {
        val random = Generator(settings.seed.toLong(), 23) // the same views each time
        val disagreed = 1 - watched.map { agreementOf(it, random) }.average()
        return Measured(disagreed, disagreed)
    }

    /** 0 where nothing is heard. */
    private fun agreementOf(utterance: Utterance, random: Generator): Double {
        val text = recognizer.transcribe(corpus.samples(utterance))
        return if (text.isEmpty()) 0.0 else agreement(recognizer, corpus, utterance, text, VALIDATED_VIEWS, random)
    }
}
