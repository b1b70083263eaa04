package tfliteasr.personalization

/** Told of progress, and asked before every step whether to stop. */
interface TrainingListener {
    /** A reason stops the training, null lets it go on. */
    fun stopReason(): StopReason? = null

    /** A round begins with this candidate, chosen for a budget of so much memory. */
    fun onRound(number: Int, candidate: Candidate, budgetMb: Double) {}

    fun onStep(number: Int, steps: Int, loss: Float) {}

    fun onEpoch(row: Epoch) {}
}
