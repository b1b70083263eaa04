package tfliteasr.demo

import tfliteasr.android.CorrectionResult
import tfliteasr.android.Opening
import tfliteasr.android.Transcripts
import tfliteasr.audio.Sound

/** What screens show and nobody stored: a rotation loses none of it. */
class Draft {
    var prompt = 0
    var sound: Sound? = null // a recording of the prompt that was not kept yet
    var refused = false // the microphone, the last time it was asked for
    var listening: Listening? = null
    var opening: Opening? = null // of a model's files, the last time
}

/**
 * A recording that was made to be recognised.
 *
 * @property transcripts null while they are computed, and where that did not work.
 */
class Listening(val sound: Sound) {
    var transcripts: Transcripts? = null
    var failed = false
    var corrected: CorrectionResult? = null
}
