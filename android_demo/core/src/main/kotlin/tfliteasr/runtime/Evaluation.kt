package tfliteasr.runtime

import tfliteasr.ErrorRates
import tfliteasr.errorRates

/** What was said, what was heard, and how far they are apart. */
class Evaluation(val rates: ErrorRates, val references: List<String>, val hypotheses: List<String>)

/** Transcribe every example. */
fun evaluate(recognizer: Recognizer, examples: List<Example>, beam: Boolean = false): Evaluation {
    val references = examples.map { it.text }
    val hypotheses = examples.map { recognizer.transcribeFrames(it.frames, beam) }
    return Evaluation(errorRates(references, hypotheses), references, hypotheses)
}
