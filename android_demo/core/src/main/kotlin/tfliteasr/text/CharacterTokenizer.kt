package tfliteasr.text

import java.util.Locale
import tfliteasr.InputError
import tfliteasr.JsonObject

/**
 * Text to token ids and back, one token a character.
 *
 * Token 0 is the blank of the transducer and of CTC, and the padding of a batch; [characters], the space included,
 * follow from 1.
 *
 * @property normalizes whether punctuation is left out and numbers are spelled before a text is encoded, see
 *     [normalized]: of a first pass in letters whose second pass writes cased text.
 */
class CharacterTokenizer(val characters: String, val normalizes: Boolean = false) : Tokenizer {
    init {
        if (characters.isEmpty()) throw InputError("tokenizer: expected at least one character, got none")
        val repeated = characters.toSet().filter { c -> characters.count { it == c } > 1 }
        if (repeated.isNotEmpty()) {
            throw InputError("tokenizer: expected each character once, ${quoted(repeated)} came more than once")
        }
        val unreachable = characters.filter { it != ' ' && upperCased(it.toString()) != it.toString() }.toSet()
        if (unreachable.isNotEmpty()) {
            throw InputError("tokenizer: ${quoted(unreachable)} can never occur in a text; give upper-case characters")
        }
    }

    override val vocabularySize: Int get() = characters.length + 1

    /** Token ids of a text, upper-cased and with its runs of white space folded to one space. */
    override fun encode(text: String, where: String): IntArray {
        val place = if (where.isEmpty()) "" else "$where: "
        val spelled = upperCased(asSaid(text))
        if (spelled.isEmpty()) throw InputError("${place}expected a text, got an empty one; leave the utterance out")
        val unknown = spelled.filter { it !in characters }.toSortedSet()
        if (unknown.isNotEmpty()) {
            throw InputError(
                "$place${quoted(unknown)} not among the model's characters '$characters'; spell the text with these",
            )
        }
        return IntArray(spelled.length) { characters.indexOf(spelled[it]) + 1 }
    }

    /** The text of token ids; blanks and padding (0) are left out, the ends stripped. */
    override fun decode(ids: Iterable<Int>): String {
        checkIds(ids, vocabularySize, "characters")
        return ids.filter { it != BLANK }.joinToString("") { characters[it - 1].toString() }.trim()
    }

    override fun spellings(): List<String> = listOf("") + characters.map { it.toString() }

    /** The text as it is said; unchanged where it holds nothing but the vocabulary's characters. */
    private fun asSaid(text: String): String =
        if (!normalizes || text.uppercase(Locale.ROOT).all { it in characters }) text else normalized(text)

    companion object {
        const val BLANK = 0

        fun fromJson(value: JsonObject): CharacterTokenizer {
            val type = value.string("type")
            if (type != "characters") throw InputError("tokenizer: expected the type 'characters', got '$type'")
            val normalizes = "normalizes" in value.names && value.boolean("normalizes")
            return CharacterTokenizer(value.string("characters"), normalizes)
        }

        private fun upperCased(text: String) = folded(text.uppercase(Locale.ROOT))

        private fun quoted(characters: Iterable<Char>) = characters.joinToString { "'$it'" }
    }
}
