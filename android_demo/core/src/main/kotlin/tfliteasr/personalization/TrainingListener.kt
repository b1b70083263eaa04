package tfliteasr.personalization

/** Told of progress. */
interface TrainingListener {
    /** Something that the user should know of the speech, in one line. */
    fun onNotice(line: String) {}

    /** A round begins with this candidate, chosen for this budget. */
    fun onRound(number: Int, chosen: Candidate, budget: Budget) {}

    fun onStep(number: Int, steps: Int, loss: Float) {}

    fun onEpoch(row: Epoch) {}
}
