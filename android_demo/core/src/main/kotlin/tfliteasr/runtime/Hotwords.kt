package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.text.CharacterTokenizer
import tfliteasr.text.Phrase
import tfliteasr.text.PhraseAutomaton
import tfliteasr.text.ROOT
import tfliteasr.text.Tokenizer
import tfliteasr.text.Walked
import tfliteasr.text.WeightedText
import tfliteasr.text.continuesWord
import tfliteasr.text.lower
import tfliteasr.text.normalized

/* Hotwords in a beam search: what each next token adds to a hypothesis that may be spelling a phrase of a list.
 *
 * The bonus is added to log P(tokens | utterance) at every step, before hypotheses are pruned (shallow fusion; Zhao et al.
 * 2019, "Shallow-fusion end-to-end contextual biasing", section 3). The automaton walks over characters, and a token is walked
 * as the characters that it stands for. So a phrase is found however the tokens cut it: in letters, in any of the ways that
 * subwords spell it, and in any case. */

/** Nats a letter, until `tflite-asr tune-hotwords` has found a better weight. */
const val UNTUNED_HOTWORD_WEIGHT = 1.0

/**
 * What the tokens of a vocabulary stand for in a text, in lower case, and in alphabetical order.
 *
 * @param spelled of each token id; "" of one that is no part of a text.
 */
class Spellings(spelled: List<String>) {
    val texts: List<IntArray> = spelled.map { lower(it).codePoints().toArray() }
    val endsWord = BooleanArray(texts.size) { texts[it].isNotEmpty() && !continuesWord(texts[it][0]) }
    val withInnerSpace = texts.indices.filter { ' '.code in texts[it].drop(1) }
    val letters: Set<Int> = texts.flatMapTo(HashSet()) { it.asIterable() }
    val order: List<Int> = texts.indices.sortedWith { left, right -> compare(texts[left], texts[right]) }

    /** Where in [order] the tokens stand that have a character at a place, of those from low up to high, alike before it. */
    fun range(place: Int, character: Int, low: Int, high: Int): IntRange =
        first(place, character, low, high) until first(place, character + 1, low, high)

    /** The first of the tokens from low up to high, alike before a place, whose character there is at least that. */
    fun first(place: Int, character: Int, low: Int, high: Int): Int {
        var (from, until) = low to high
        while (from < until) {
            val middle = (from + until) / 2
            if ((texts[order[middle]].getOrNull(place) ?: -1) < character) from = middle + 1 else until = middle
        }
        return from
    }

    private fun compare(left: IntArray, right: IntArray): Int {
        val place = (0 until minOf(left.size, right.size)).firstOrNull { left[it] != right[it] }
        return if (place == null) left.size.compareTo(right.size) else left[place].compareTo(right[place])
    }
}

/**
 * The bonus for each token of a vocabulary, of hypotheses that each keep a state of the automaton.
 *
 * A step costs the same for one phrase and for thousands: what a state adds to the tokens that go on with a phrase is worked
 * out when a hypothesis first gets there.
 */
class TokenBonus(private val automaton: PhraseAutomaton, private val spellings: Spellings) {
    private class Near(val tokens: IntArray, val gains: DoubleArray)

    val start = automaton.start
    private val near = HashMap<Int, Near>()

    /** The bonus for each token inside a word that belongs to no phrase. */
    private val outside = DoubleArray(spellings.texts.size).also { row ->
        val found = workedOut(ROOT, setOf(' '.code))
        found.tokens.forEachIndexed { index, token -> row[token] = found.gains[index] }
    }

    /** The state behind a token, and the bonus for it. */
    fun step(state: Int, token: Int): Walked = automaton.walk(state, spellings.texts[token])

    /** The bonus for each token behind a state: that of [step]. */
    fun gains(state: Int): DoubleArray {
        val found = synchronized(near) { near.getOrPut(state) { workedOut(state, automaton.expected(state)) } }
        val (pending, complete) = automaton.pending(state) to automaton.complete(state)
        val row = DoubleArray(outside.size) { token ->
            when {
                spellings.texts[token].isEmpty() -> 0.0
                spellings.endsWord[token] -> outside[token] - pending + complete
                else -> outside[token] - pending
            }
        }
        found.tokens.forEachIndexed { index, token -> row[token] = found.gains[index] }
        return row
    }

    /** The bonus for the end of the utterance: what is unfinished is taken back. */
    fun final(state: Int): Double = automaton.finished(state)

    private class Way(val state: Int, val low: Int, val high: Int, val length: Int)

    /**
     * The tokens that go on from a state with one of the expected characters and stay on the way to the end of the token or
     * of a phrase, and the bonus for each. Any other leaves the way, as it would from any state.
     */
    private fun workedOut(state: Int, expected: Set<Int>): Near {
        val found = sortedSetOf<Int>().apply { addAll(spellings.withInnerSpace) }
        val waiting = ArrayDeque(goingOn(Way(state, 0, spellings.order.size, 0), expected))
        while (waiting.isNotEmpty()) {
            val way = waiting.removeLast()
            val longer = spellings.first(way.length, 0, way.low, way.high) // behind those that end here
            val kept = if (automaton.complete(way.state) > 0) way.high else longer
            for (place in way.low until kept) found.add(spellings.order[place])
            if (kept < way.high) waiting += goingOn(Way(way.state, longer, way.high, way.length), automaton.expected(way.state))
        }
        val tokens = found.toIntArray()
        return Near(tokens, DoubleArray(tokens.size) { step(state, tokens[it]).bonus })
    }

    private fun goingOn(way: Way, expected: Set<Int>): List<Way> = expected.mapNotNull { character ->
        val range = spellings.range(way.length, character, way.low, way.high)
        if (range.isEmpty()) null else Way(automaton.next(way.state, character), range.first, range.last + 1, way.length + 1)
    }
}

/**
 * A list of phrases as a recogniser's searches take it: in the tokens of its first pass, and of a second pass that decodes by
 * itself.
 */
class Hotwords(val first: TokenBonus, val second: TokenBonus?)

/**
 * The bonus over a tokenizer's tokens; [InputError] for a phrase in letters that they do not have, or a weight that is none.
 *
 * @param weight nats a letter, times each phrase's own weight.
 * @param normalizes whether a phrase is also expected as it is said, its numbers in words.
 */
fun tokenBonus(
    phrases: List<Phrase>,
    weight: Double,
    tokenizer: Tokenizer,
    spellings: Spellings,
    normalizes: Boolean,
): TokenBonus {
    if (!(weight >= 0 && weight < Double.POSITIVE_INFINITY)) {
        throw InputError("hotwords: expected a weight of 0 or more, got $weight")
    }
    val spelled = LinkedHashMap<String, Double>()
    for (phrase in phrases) {
        for (text in texts(phrase, tokenizer, spellings, normalizes)) {
            spelled.merge(text, weight * phrase.weight, ::maxOf)
        }
    }
    return TokenBonus(PhraseAutomaton(spelled.filterValues { it > 0 }.map { WeightedText(it.key, it.value) }), spellings)
}

/** How a tokenizer's tokens spell a phrase, in lower case. */
private fun texts(phrase: Phrase, tokenizer: Tokenizer, spellings: Spellings, normalizes: Boolean): Set<String> {
    if (tokenizer is CharacterTokenizer) {
        return setOf(lower(tokenizer.decode(tokenizer.encode(phrase.text, phrase.where).asIterable())))
    }
    val written = listOf(lower(phrase.text)) + if (normalizes) listOf(lower(normalized(phrase.text))) else emptyList()
    fun lacking(text: String) = text.codePoints().toArray().filter { it != ' '.code && it !in spellings.letters }.toSortedSet()
    val found = written.filterTo(LinkedHashSet()) { it.isNotEmpty() && lacking(it).isEmpty() }
    if (found.isEmpty()) {
        val letters = lacking(written[0]).joinToString { "'${String(Character.toChars(it))}'" }
        throw InputError(
            "${phrase.where.ifEmpty { "hotwords" }}: $letters not among the letters of the model's subwords; spell the phrase " +
                "without",
        )
    }
    return found
}
