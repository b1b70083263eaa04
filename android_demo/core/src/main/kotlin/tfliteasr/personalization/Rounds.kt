package tfliteasr.personalization

import java.io.File
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer

/** What one round did, and with which plan. */
class Round(val candidate: Candidate, val outcome: Outcome)

/** What all rounds did, and why there was no further one. */
class RoundsOutcome(val rounds: List<Round>, val stoppedBecause: StopReason)

/**
 * Training in rounds (Sasindran et al. 2023, MobileASR): each takes the plan that fits the memory there is, starts from the
 * last one's checkpoint, and hands on its own. They end when a round finds no better weights, or when a reading of the
 * resources passes a limit, in the middle of an epoch if need be: what the last best epoch learned is on the disk.
 *
 * @param checkpoint restored from if it is there, replaced whenever there are better weights.
 * @param settings of one round.
 */
class Rounds(
    private val recognizer: Recognizer,
    private val data: TrainingData,
    private val settings: Settings,
    private val checkpoint: File,
    private val resources: Resources,
    private val limits: Limits = Limits(),
    private val replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
) {
    private val candidates = candidates(recognizer.artifact)

    fun run(most: Int): RoundsOutcome {
        if (checkpoint.exists()) recognizer.restore(checkpoint)
        val rounds = ArrayList<Round>()
        while (rounds.size < most) {
            refusal()?.let { return RoundsOutcome(rounds, it) }
            val budgetMb = resources.now().availableRamMb - limits.leastAvailableRamMb
            val candidate = choose(candidates, budgetMb) ?: return RoundsOutcome(rounds, StopReason.NO_PLAN_FITS)
            listener.onRound(rounds.size + 1, candidate, budgetMb)
            val outcome = Trainer(recognizer, data, settings.with(candidate), replay, watched).personalize()
            rounds.add(Round(candidate, outcome))
            when {
                outcome.stoppedBecause !in FINISHED -> return RoundsOutcome(rounds, outcome.stoppedBecause)
                outcome.history.last { it.best }.epoch == 0 -> return RoundsOutcome(rounds, StopReason.NO_GAIN)
            }
        }
        return RoundsOutcome(rounds, StopReason.ROUNDS_DONE)
    }

    private fun Settings.with(candidate: Candidate): Settings {
        val left = recognizer.groups.filter { it !in candidate.trained }
        return copy(plan = candidate.plan, groupRates = groupRates + left.associateWith { 0.0 })
    }

    private fun refusal(): StopReason? = listener.stopReason() ?: limits.refusal(resources.now())

    /** The listener, with the resources watched at every step and the best weights written as soon as they are. */
    private val watched = object : TrainingListener {
        override fun stopReason(): StopReason? = refusal()

        override fun onStep(number: Int, steps: Int, loss: Float) = listener.onStep(number, steps, loss)

        override fun onEpoch(row: Epoch) {
            if (row.best && (row.epoch > 0 || !checkpoint.exists())) recognizer.save(checkpoint)
            listener.onEpoch(row)
        }
    }

    private companion object {
        val FINISHED = setOf(StopReason.EPOCHS_DONE, StopReason.NO_GAIN)
    }
}
