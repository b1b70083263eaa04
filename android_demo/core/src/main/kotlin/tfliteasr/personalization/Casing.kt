package tfliteasr.personalization

import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.runtime.Recognizer
import tfliteasr.text.inOneCase

/**
 * The same utterances as a second pass that trains is to write them: those whose transcripts are without case get it from what
 * the recogniser hears, once for all epochs. Of a model whose first pass trains, they stay as they are.
 *
 * @param corpus holds the utterances' audio.
 */
fun withHeardCase(recognizer: Recognizer, corpus: Corpus, utterances: List<Utterance>): List<Utterance> {
    if (!recognizer.config.trainsSecondPass) return utterances
    return utterances.map {
        if (inOneCase(it.text)) it.copy(text = recognizer.cased(it.text, recognizer.features(corpus.samples(it)))) else it
    }
}
