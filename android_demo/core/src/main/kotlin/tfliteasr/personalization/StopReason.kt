package tfliteasr.personalization

/** Why training ended. */
enum class StopReason(val text: String) {
    EPOCHS_DONE("all epochs done"),
    ROUNDS_DONE("all rounds done"),
    NO_GAIN("no better validation result for a while"),
    ASKED("asked to stop"),
    LOW_MEMORY("memory ran low"),
    LOW_BATTERY("the battery ran low"),
    NOT_CHARGING("the charger was taken off"),
    TOO_HOT("the device became hot"),
    NO_PLAN_FITS("no way to train fits into the memory there is"),
}
