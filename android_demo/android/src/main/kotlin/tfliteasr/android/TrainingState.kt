package tfliteasr.android

import tfliteasr.personalization.Budget
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Resources
import tfliteasr.personalization.StopReason

/**
 * How training goes, for a screen to show; replaced, never changed.
 *
 * @property problem the last one, until [SpeechEngine.problemSeen].
 */
data class TrainingState(
    val running: Boolean = false,
    val measuring: Boolean = false, // what the plans cost on this phone
    val chosen: Candidate? = null, // how this round trains
    val budget: Budget? = null, // what it was chosen for
    val step: Int = 0,
    val steps: Int = 0,
    val loss: Float? = null,
    val history: List<Epoch> = emptyList(), // of all rounds
    val reading: Resources? = null,
    val stopped: StopReason.Kind? = null,
    val problem: Problem? = null,
)
