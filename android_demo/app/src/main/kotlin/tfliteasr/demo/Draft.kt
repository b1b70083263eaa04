package tfliteasr.demo

import tfliteasr.audio.Sound

/** The sentence that is to be said and a recording of it that was not kept yet: a rotation loses neither. */
class Draft {
    var prompt = 0
    var sound: Sound? = null
    var refused = false // the microphone, the last time it was asked for
}
