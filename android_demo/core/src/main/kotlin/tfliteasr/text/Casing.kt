package tfliteasr.text

import java.util.Locale

/* Case and punctuation for a transcript that has none, from what a recogniser wrote for the same speech. */

private val SENTENCE_END = Regex("[.!?]?$", RegexOption.UNIX_LINES)
private val ALWAYS_CAPITAL = Regex("i(?='|$)") // I, I'm, I'll

/** Whether a text is in capitals alone or in lower case alone, and so tells nothing about its case. */
fun inOneCase(text: String): Boolean = text == text.uppercase(Locale.ROOT) || text == text.lowercase(Locale.ROOT)

/** A word of [written], and the words that it is said as: their first place among all that were heard, and their number. */
private class HeardToken(val written: String, val first: Int, val words: List<String>) {
    val places: IntRange get() = first until first + words.size
}

/**
 * A transcript with the case, the punctuation and the spelling of numbers of [written] where the two have the same words.
 *
 * Words that differ are those of the transcript, in lower case and without punctuation. The first letter is a capital, and the
 * sentence ends as [written] does.
 *
 * @param text what was said, in any case, such as `TURN LEFT MISTER SMITH`.
 * @param written what a recogniser with cased output heard, such as `Turn left, Mr. Smith.`.
 */
fun withCaseOf(text: String, written: String): String {
    val said = words(normalized(text))
    val tokens = heardTokens(written)
    val heard = tokens.flatMap { it.words }
    if (said.isEmpty() || heard.isEmpty()) return capitalized(said.joinToString(" ", transform = ::plain))
    val places = alignedPlaces(said, heard)
    val equal = places.filterIndexedTo(HashSet()) { position, place -> place != null && heard[place] == said[position] }
    val whole = tokens.filter { token -> token.places.all { it in equal } }
    val found = said.mapIndexedNotNull { position, word ->
        val place = places[position]
        val token = whole.firstOrNull { place != null && place in it.places }
        when {
            token == null -> plain(word)
            place == token.first -> token.written // once for a token of several words
            else -> null
        }
    }
    val sentence = capitalized(found.joinToString(" ").trimEnd(',', ';', ':'))
    return if (sentenceEnd(found.last()).isEmpty()) sentence + sentenceEnd(written) else sentence
}

private fun heardTokens(written: String): List<HeardToken> {
    var first = 0
    return words(written).map { token ->
        val words = words(normalized(token))
        HeardToken(token, first, words).also { first += words.size }
    }
}

private fun words(text: String): List<String> = text.split(WHITE_SPACE).filter { it.isNotEmpty() }

private fun sentenceEnd(text: String): String = SENTENCE_END.find(text)?.value ?: ""

private fun plain(word: String): String =
    if (ALWAYS_CAPITAL.find(word)?.range?.first == 0) word.replace(ALWAYS_CAPITAL, "I") else word

private fun capitalized(text: String): String = text.replaceFirstChar { it.uppercase(Locale.ROOT) }
