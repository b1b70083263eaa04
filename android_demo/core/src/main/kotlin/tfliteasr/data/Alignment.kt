package tfliteasr.data

import tfliteasr.InputError
import tfliteasr.runtime.Example
import tfliteasr.runtime.ModelConfig

/*
 * Whether a text can be aligned with an utterance: rows that cannot be are no speech to learn from.
 *
 * A CTC path spends an encoder step on each label, and one more, on a blank, between two equal ones: labels + equal neighbours
 * <= steps, at every exit with a CTC head. A transducer takes any number of labels, but its decoders stop after
 * `maxSymbolsPerStep` labels at a step, and a second pass that trains after `tokensPerSecond`.
 */

private const val MOST_NAMED = 10 // rows that a notice lists

/** Why no CTC path spells [tokens] within [frames] frames at some exit; null when every CTC exit has one. */
fun ctcProblem(tokens: IntArray, frames: Int, config: ModelConfig): String? {
    if (config.trainsSecondPass) return null
    val all = config.encoder.stepsAtExits(frames)
    val steps = (if (config.prediction == null) all else all.dropLast(1)).minOrNull() ?: return null
    val needed = tokens.size + (1 until tokens.size).count { tokens[it] == tokens[it - 1] }
    return if (needed <= steps) null else "${tokens.size} characters need $needed encoder steps, the audio has $steps"
}

/** Why [tokens] cannot be learned from [frames] frames, the silence at the end among them; null when they can. */
fun alignmentProblem(tokens: IntArray, frames: Int, config: ModelConfig): String? {
    ctcProblem(tokens, frames, config)?.let { return it }
    if (config.trainsSecondPass) {
        val most = config.mostSubwords(frames)
        return if (tokens.size <= most) null else "${tokens.size} subwords, the decoder stops after $most for this audio"
    }
    val most = config.encoder.stepsAtExits(frames).last() * config.sizes.maxSymbolsPerStep
    val written = config.prediction == null || tokens.size <= most
    return if (written) null else "${tokens.size} characters, its encoder steps allow $most"
}

/** [InputError] for an utterance that no CTC path spells: it has no gradient, and no loss that could be averaged. */
fun checkAlignable(examples: List<Example>, config: ModelConfig) {
    for (example in examples) {
        val problem = ctcProblem(example.tokens, example.frames.length, config) ?: continue
        throw InputError("${example.where.ifEmpty { "utterance" }}: cannot be aligned: $problem; leave it out")
    }
}

/** Feature frames of an utterance of [samples] samples, with the silence that is added at its end. */
fun utteranceFrames(config: ModelConfig, samples: Int): Int =
    minOf(config.features.framesOf(samples) + config.tailFrames, config.sizes.maxFrames)

/** Utterances to learn from; and of those that cannot be aligned the row and the reason. */
class Alignable(val kept: List<Utterance>, val leftOut: List<String>) {
    /** What to tell the user; null when nothing was left out. */
    val notice: String?
        get() {
            if (leftOut.isEmpty()) return null
            val more = if (leftOut.size > MOST_NAMED) " and ${leftOut.size - MOST_NAMED} more" else ""
            val rows = leftOut.take(MOST_NAMED).joinToString() + more
            val total = kept.size + leftOut.size
            return "${leftOut.size} of $total utterances left out, their text does not fit into their audio: $rows"
        }
}

/** Split [utterances] of a corpus into those that can be aligned and the others. */
fun alignable(corpus: Corpus, utterances: List<Utterance>): Alignable {
    val config = corpus.config
    val leftOut = ArrayList<String>()
    val kept = utterances.filter { utterance ->
        val tokens = corpus.tokenizer.encode(utterance.text)
        val problem = alignmentProblem(tokens, utteranceFrames(config, corpus.samples(utterance).size), config)
        if (problem != null) leftOut.add("${utterance.where} ($problem)")
        problem == null
    }
    return Alignable(kept, leftOut)
}
