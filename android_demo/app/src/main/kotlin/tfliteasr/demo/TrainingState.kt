package tfliteasr.demo

import tfliteasr.personalization.Budget
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Resources
import tfliteasr.personalization.StopReason

/** What the Train screen shows; replaced, never changed. */
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
    val problem: Int? = null, // a string of the resources
)
