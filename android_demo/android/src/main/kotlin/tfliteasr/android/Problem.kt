package tfliteasr.android

/** What went wrong, for an app to put into its owner's words. */
enum class Problem {
    /** The shipped model is damaged. */
    MODEL,

    /** There is no room for a copy of the shipped model. */
    MODEL_ROOM,

    /** A model that was opened cannot be read any more; the shipped one is used. */
    OPENED_MODEL,

    /** What was learned cannot be read; it is set aside. */
    CHECKPOINT,

    /** A recording could not be stored. */
    STORAGE,

    /** The recordings cannot be read. */
    READING,

    /** Training did not work. */
    TRAINING,

    /** What was learned could not be stored. */
    LEARNED_ROOM,

    /** A recording could not be understood. */
    LISTENING,

    /** Not all could be deleted. */
    DELETE,
}

/** How opening a model's files ended, see [SpeechEngine.openModel]. */
enum class Opening {
    OPENED,

    /** NAME.tflite or NAME.json is not among the files. */
    INCOMPLETE,

    /** The files are no model of tflite_asr, no pair, or damaged. */
    NOT_A_MODEL,

    /** The description has a newer format than this app reads. */
    TOO_NEW,

    /** The runtime of this app cannot run the model. */
    CANNOT_RUN,

    /** The files may not be read, or are gone. */
    NOT_READABLE,

    /** The storage is full. */
    NO_ROOM,
}

/** How a correction ended, see [SpeechEngine.correct]. */
enum class CorrectionResult {
    /** It is kept, and the next training learns from it. */
    KEPT,

    /** The text is what was heard. */
    NOTHING_TO_CORRECT,

    /** The text is of another utterance, or has letters that the model does not know. */
    DOES_NOT_FIT,

    /** It could not be stored. */
    NOT_STORED,
}
