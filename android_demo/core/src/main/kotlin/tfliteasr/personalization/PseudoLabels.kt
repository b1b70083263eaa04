package tfliteasr.personalization

import tfliteasr.Generator
import tfliteasr.data.Clip
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.runtime.Recognizer
import tfliteasr.text.normalized

/*
 * Pseudo-labels: transcripts of speech that has none, by the recogniser that is to learn from them.
 *
 * Kept are those that it is sure of, word by word, and hears again in augmented views of the recording (consistency, Sohn et al.
 * 2020, arXiv 2001.07685). Of a text that is heard far more often than others not all are kept: what is recognised best would
 * otherwise crowd out what is to be learned.
 */

private const val MOST_OF_A_TEXT = 1.5 // as against the median text, at least LEAST_OF_A_TEXT of each
private const val LEAST_OF_A_TEXT = 3

/**
 * What is kept.
 *
 * @property confidence of every word, calibrated.
 * @property views that must all be heard as the recording is.
 */
data class PseudoLabelRules(val confidence: Double = 0.95, val views: Int = 6)

/** Why an utterance is not among the pseudo-labels; [text] is Python's word for it. */
enum class Refusal(val text: String) {
    NOTHING_HEARD("nothing heard"),
    NOT_CONFIDENT("not confident"),
    VIEWS_DISAGREE("views disagree"),
    TEXT_HEARD_OFTEN("text heard often"),
}

/** Utterances with what was heard as their text, and why others are not among them: a count by reason. */
class PseudoLabels(val utterances: List<Utterance>, val refused: Map<Refusal, Int>)

/**
 * Transcribe utterances of a corpus and keep what can be learned from.
 *
 * @param recognizer hears them with the weights that it has.
 * @param utterances without transcripts; what stands there as text is not looked at.
 * @param random of the views.
 */
fun pseudoLabels(
    recognizer: Recognizer,
    corpus: Corpus,
    utterances: List<Utterance>,
    rules: PseudoLabelRules,
    random: Generator,
): PseudoLabels {
    val heard = ArrayList<Utterance>()
    val refused = ArrayList<Refusal>()
    for (utterance in utterances) {
        val words = recognizer.words(corpus.samples(utterance))
        val text = words.joinToString(" ") { it.text }
        when {
            text.isEmpty() -> refused += Refusal.NOTHING_HEARD
            words.minOf { it.confidence } < rules.confidence -> refused += Refusal.NOT_CONFIDENT
            agreement(recognizer, corpus, utterance, text, rules.views, random) < 1 -> refused += Refusal.VIEWS_DISAGREE
            else -> heard += utterance.copy(text = text)
        }
    }
    val kept = evenly(heard)
    repeat(heard.size - kept.size) { refused += Refusal.TEXT_HEARD_OFTEN }
    return PseudoLabels(kept, refused.groupingBy { it }.eachCount())
}

/**
 * The share of augmented views of an utterance in which its text is heard; views are augmented as training does, by speed, level
 * and noise.
 */
fun agreement(recognizer: Recognizer, corpus: Corpus, utterance: Utterance, text: String, views: Int, random: Generator): Double {
    val (config, clip) = recognizer.config to Clip(listOf(utterance))
    val longest = config.features.samplesOf(config.sizes.maxFrames)
    val same = List(views) {
        val samples = corpus.assemble(clip, random)
        val heard = recognizer.transcribe(samples.copyOf(minOf(samples.size, longest)), beam = recognizer.subwords != null)
        heard == text || recognizer.normalize && normalized(heard) == normalized(text)
    }
    return same.count { it }.toDouble() / views
}

/** The utterances, of each text the first few. */
private fun evenly(utterances: List<Utterance>): List<Utterance> {
    if (utterances.isEmpty()) return emptyList()
    val counts = utterances.groupingBy { it.text }.eachCount().values.sorted()
    val median = (counts[(counts.size - 1) / 2] + counts[counts.size / 2]) / 2.0
    val most = maxOf(LEAST_OF_A_TEXT, (MOST_OF_A_TEXT * median).toInt())
    val taken = HashMap<String, Int>()
    return utterances.filter { taken.merge(it.text, 1, Int::plus)!! <= most }
}
