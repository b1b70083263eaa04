package tfliteasr.android

import tfliteasr.runtime.Listener
import tfliteasr.runtime.Recognizer

/** The text of a recording while it is made: of what was said before its last pause, and of what is being said. */
internal class LiveText(val recognizer: Recognizer) {
    private val listener = Listener(recognizer, words = false)
    private val said = ArrayList<String>()

    /** The text with [samples] more; null where it is still the same. */
    fun accept(samples: FloatArray): String? {
        val heard = listener.accept(samples)
        heard.filter { it.over }.mapTo(said) { it.text }
        val last = heard.lastOrNull() ?: return null
        return (if (last.over) said else said + last.text).joinToString(" ")
    }
}
