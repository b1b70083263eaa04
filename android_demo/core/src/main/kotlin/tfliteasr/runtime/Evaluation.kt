package tfliteasr.runtime

import tfliteasr.ErrorRates
import tfliteasr.data.Clip
import tfliteasr.data.Corpus
import tfliteasr.errorRates

/**
 * What was said, what was heard, and how far they are apart.
 *
 * @property ownerUtterances heard with the learned weights; the others with the shipped ones.
 * @property exits where the encoder was left, if by a policy.
 */
class Evaluation(
    val rates: ErrorRates,
    val references: List<String>,
    val hypotheses: List<String>,
    val ownerUtterances: Int,
    val exits: List<Int>?,
)

/** Features and tokens of clips as they were recorded. */
fun examplesOf(recognizer: Recognizer, corpus: Corpus, clips: List<Clip>): List<Example> = clips.map { clip ->
    val tokens = recognizer.labels.encode(clip.text, clip.where)
    Example(recognizer.features(corpus.assemble(clip)), tokens, recognizer.labels.decode(tokens.asIterable()), clip.where)
}

/**
 * [evaluate] what [Recognizer.transcribe] writes: by beam search, through both passes where the second one decodes by itself;
 * with a policy the encoder is left where it says.
 */
fun evaluateTranscripts(recognizer: Recognizer, examples: List<Example>, policy: ExitPolicy? = null): Evaluation {
    val rescoring = if (recognizer.subwords == null) null else recognizer.artifact.rescoring
    return evaluate(recognizer, examples, beam = true, policy, rescoring)
}

/** Transcribe every example; with a policy the encoder is left where it says, with [rescoring] both passes decide. */
fun evaluate(
    recognizer: Recognizer,
    examples: List<Example>,
    beam: Boolean = false,
    policy: ExitPolicy? = null,
    rescoring: Rescoring? = null,
): Evaluation {
    val references = examples.map { it.text }
    val bothPasses = rescoring?.let { examples.map { example -> recognizer.transcribeTwoPass(example.frames, it) } }
    val leaving = policy.takeIf { bothPasses == null }
    val early = leaving?.let { examples.map { example -> recognizer.transcribeEarly(example.frames, it, beam) } }
    val hypotheses =
        bothPasses ?: early?.map { it.text } ?: examples.map { recognizer.transcribeFrames(it.frames, beam) }
    val owner = examples.count { recognizer.hearsOwner(it.frames) }
    val rates = errorRates(references, hypotheses, recognizer.normalize)
    return Evaluation(rates, references, hypotheses, owner, early?.map { it.exit })
}
