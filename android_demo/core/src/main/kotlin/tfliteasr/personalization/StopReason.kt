package tfliteasr.personalization

/**
 * Why training ended or does not begin.
 *
 * @property kind for an app, which has words of its own for its owner.
 * @property text with the figures, in the Python side's words.
 */
data class StopReason(val kind: Kind, val text: String) {
    enum class Kind {
        EPOCHS_DONE,
        NO_GAIN,
        ROUNDS_DONE,
        ALL_HEARD,
        ASKED,
        LOW_MEMORY,
        LOW_BATTERY,
        NOT_CHARGING,
        TOO_HOT,
        NO_PLAN_FITS,
    }

    /** The same at another place of training. */
    fun at(place: String) = copy(text = "$place: $text")
}
