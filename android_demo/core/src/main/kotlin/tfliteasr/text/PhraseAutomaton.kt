package tfliteasr.text

import java.util.Locale

/** The state inside a word that belongs to no phrase. */
internal const val ROOT = 0
private const val SPACE = ' '.code

/** Words in lower case, one space between them, and what a letter of them is worth, in nats. */
class WeightedText(val text: String, val weight: Double)

/** A state of the automaton, and the bonus for the way there, in nats. */
class Walked(val state: Int, val bonus: Double)

/**
 * A prefix automaton over the characters of words, which gives a bonus for each letter of a phrase on the way (Aho and
 * Corasick 1975, doi 10.1145/360825.360855).
 *
 * A phrase is found where its words stand as whole words: it begins at the start or behind a space and ends before a
 * character that does not go on with a word, or at the end. The bonus of a text is
 *
 *     sum of b(phrase) over the phrases that were found before its last character
 *     + sum of b(prefix) over the prefixes of phrases that it ends with,
 *
 * where b(phrase) is its weight times its letters, b(prefix) the highest weight of a phrase that begins so times the letters
 * of the prefix. So what was given for a phrase that is left unfinished is taken back, at the end of an utterance by
 * [finished]. States are numbers; [start] is the one before an utterance.
 *
 * @param phrases each text once.
 */
class PhraseAutomaton(phrases: Iterable<WeightedText>) {
    private class State {
        val children = HashMap<Int, Int>(2)
        var fails = ROOT // the longest proper suffix that is a state too
        var pending = 0.0 // of the prefixes that a text which is here ends with
        var complete = 0.0 // of the phrases that end here, if the word ends as well
    }

    private val states = arrayListOf(State())
    val start = add(WeightedText("", 0.0))
    val size: Int get() = states.size

    init {
        for (phrase in phrases) states[add(phrase)].complete += phrase.weight * letters(phrase.text)
        link()
    }

    /** The state behind a phrase, whose prefixes become states as well. */
    private fun add(phrase: WeightedText): Int {
        var (state, letters) = ROOT to -1 // the space in front is none
        for (character in " ${phrase.text}".codePoints()) {
            state = states[state].children.getOrPut(character) { states.add(State()).let { states.lastIndex } }
            if (letters < 0 || character != SPACE) letters++
            states[state].pending = maxOf(states[state].pending, phrase.weight * letters)
        }
        return state
    }

    /** What each state falls back to, and what is due there: breadth first. */
    private fun link() {
        val waiting = ArrayDeque(states[ROOT].children.values)
        while (waiting.isNotEmpty()) {
            val state = states[waiting.removeFirst()]
            for ((character, number) in state.children) {
                val child = states[number]
                child.fails = next(state.fails, character)
                child.pending += states[child.fails].pending
                child.complete += states[child.fails].complete
                waiting.add(number)
            }
        }
    }

    /** The state behind one more character, in lower case. */
    fun next(state: Int, character: Int): Int {
        var from = state
        while (true) {
            states[from].children[character]?.let { return it }
            if (from == ROOT) return ROOT
            from = states[from].fails
        }
    }

    /** The characters with which a phrase that has begun goes on. */
    fun expected(state: Int): Set<Int> {
        val found = HashSet<Int>()
        var from = state
        while (from != ROOT) {
            found.addAll(states[from].children.keys)
            from = states[from].fails
        }
        return found
    }

    /** The state behind more text, code points in lower case, and the bonus for it. */
    fun walk(state: Int, text: IntArray): Walked {
        var (at, bonus) = state to -pending(state)
        for (character in text) {
            if (!continuesWord(character)) bonus += complete(at)
            at = next(at, character)
        }
        return Walked(at, bonus + pending(at))
    }

    /** What is taken back where no phrase goes on. */
    fun pending(state: Int): Double = states[state].pending

    /** What the phrases that end here are worth, if the word ends as well. */
    fun complete(state: Int): Double = states[state].complete

    /** The bonus for the end of the utterance: what is unfinished is taken back. */
    fun finished(state: Int): Double = states[state].complete - states[state].pending
}

/** Characters but for spaces: what a bonus is given for. */
internal fun letters(text: String): Int = text.codePoints().filter { it != SPACE }.count().toInt()

/** Whether a word goes on with a character: letters, marks and digits. */
internal fun continuesWord(character: Int): Boolean =
    Character.getType(character) in Character.UPPERCASE_LETTER.toInt()..Character.OTHER_NUMBER.toInt()

/** A text in lower case, each character for itself and as one. */
internal fun lower(text: String): String = text.codePoints().toArray().joinToString("") { character ->
    val before = String(Character.toChars(character))
    before.lowercase(Locale.ROOT).takeIf { it.codePointCount(0, it.length) == 1 } ?: before
}
