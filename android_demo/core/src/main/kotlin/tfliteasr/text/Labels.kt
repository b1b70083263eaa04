package tfliteasr.text

import tfliteasr.InputError
import tfliteasr.runtime.ModelConfig

/** Subwords of cased text: a transcript in capitals or in lower case alone is encoded as a sentence. */
class SentenceTokenizer(private val subwords: SubwordTokenizer) : Tokenizer by subwords {
    override fun encode(text: String, where: String): IntArray =
        subwords.encode(if (inOneCase(text)) withCaseOf(text, "") else text, where)
}

/**
 * The tokenizer of what trains on the device: the first pass's, or sentences for a second pass that trains.
 *
 * @param firstPass letters or subwords of the first pass.
 * @param subwords of a second pass that decodes, where there are any.
 */
fun labelTokenizer(config: ModelConfig, firstPass: Tokenizer, subwords: SubwordTokenizer?): Tokenizer {
    if (!config.trainsSecondPass) return firstPass
    if (subwords == null) throw InputError("model: expected a second pass with its subwords to learn from, it has none")
    return SentenceTokenizer(subwords)
}
