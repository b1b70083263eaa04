package tfliteasr.text

import tfliteasr.InputError
import tfliteasr.JsonObject

/** Text to token ids and back. */
interface Tokenizer {
    /** How many token ids there are, the blank included if there is one. */
    val vocabularySize: Int

    /**
     * Token ids of a text.
     *
     * @param where what an error names as the place of the text, such as `train.jsonl:12`.
     */
    fun encode(text: String, where: String = ""): IntArray

    /** The text of token ids; blanks are left out. */
    fun decode(ids: Iterable<Int>): String

    /** What each token id stands for in a text, spaces included; "" of one that is no part of a text. */
    fun spellings(): List<String>
}

/** The tokenizer of NAME.json, of the type that it names. */
fun tokenizerFromJson(value: JsonObject): Tokenizer = when (val type = value.string("type")) {
    "characters" -> CharacterTokenizer.fromJson(value)
    "subwords" -> SubwordTokenizer.fromJson(value)
    else -> throw InputError("tokenizer: expected the type 'characters' or 'subwords', got '$type'")
}

/** A text with its runs of white space folded to one space and none at its ends. */
fun folded(text: String): String = text.split(Regex("\\s+")).filter { it.isNotEmpty() }.joinToString(" ")

/** An error if one of the token ids is not in the vocabulary, whose tokens are [units]. */
internal fun checkIds(ids: Iterable<Int>, vocabularySize: Int, units: String) {
    val outside = ids.filter { it !in 0 until vocabularySize }.toSortedSet()
    if (outside.isNotEmpty()) {
        throw InputError(
            "tokenizer: expected ids from 0 to ${vocabularySize - 1}, got ${outside.joinToString()}; " +
                "the ids come from a model with other $units",
        )
    }
}
