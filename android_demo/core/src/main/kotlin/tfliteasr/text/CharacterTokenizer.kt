package tfliteasr.text

import java.util.Locale
import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * Text to token ids and back, one token a character.
 *
 * Token 0 is the blank of the transducer, and the padding of a batch; [characters], the space included, follow from 1.
 */
class CharacterTokenizer(val characters: String) : Tokenizer {
    init {
        if (characters.isEmpty()) throw InputError("tokenizer: expected at least one character, got none")
        val repeated = characters.toSet().filter { c -> characters.count { it == c } > 1 }
        if (repeated.isNotEmpty()) {
            throw InputError("tokenizer: expected each character once, ${quoted(repeated)} came more than once")
        }
        val unreachable = characters.filter { it != ' ' && normalized(it.toString()) != it.toString() }.toSet()
        if (unreachable.isNotEmpty()) {
            throw InputError("tokenizer: ${quoted(unreachable)} can never occur in a text; give upper-case characters")
        }
    }

    override val vocabularySize: Int get() = characters.length + 1

    /** Token ids of a text, upper-cased and with its runs of white space folded to one space. */
    override fun encode(text: String, where: String): IntArray {
        val place = if (where.isEmpty()) "" else "$where: "
        val normalized = normalized(text)
        if (normalized.isEmpty()) throw InputError("${place}expected a text, got an empty one; leave the utterance out")
        val unknown = normalized.filter { it !in characters }.toSortedSet()
        if (unknown.isNotEmpty()) {
            throw InputError(
                "$place${quoted(unknown)} not among the model's characters '$characters'; spell the text with these",
            )
        }
        return IntArray(normalized.length) { characters.indexOf(normalized[it]) + 1 }
    }

    /** The text of token ids; blanks and padding (0) are left out, the ends stripped. */
    override fun decode(ids: Iterable<Int>): String {
        checkIds(ids, vocabularySize, "characters")
        return ids.filter { it != BLANK }.joinToString("") { characters[it - 1].toString() }.trim()
    }

    companion object {
        const val BLANK = 0

        fun fromJson(value: JsonObject): CharacterTokenizer {
            val type = value.string("type")
            if (type != "characters") throw InputError("tokenizer: expected the type 'characters', got '$type'")
            return CharacterTokenizer(value.string("characters"))
        }

        private fun normalized(text: String) = folded(text.uppercase(Locale.ROOT))

        private fun quoted(characters: Iterable<Char>) = characters.joinToString { "'$it'" }
    }
}
