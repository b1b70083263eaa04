package tfliteasr.demo

import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.ResourceReading
import tfliteasr.personalization.StopReason

/** What the Train screen shows; replaced, never changed. */
data class TrainingState(
    val running: Boolean = false,
    val round: Int = 0,
    val candidate: Candidate? = null, // how this round trains
    val budgetMb: Double = 0.0, // what it was chosen for
    val step: Int = 0,
    val steps: Int = 0,
    val loss: Float? = null,
    val history: List<Epoch> = emptyList(), // of all rounds
    val reading: ResourceReading? = null,
    val stopped: StopReason? = null,
    val problem: Int? = null, // a string of the resources
)
