package tfliteasr.runtime

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.util.Locale
import tfliteasr.InputError
import tfliteasr.comparedWords
import tfliteasr.text.SubwordTokenizer
import tfliteasr.text.alignedPlaces

/** As often as this a corrected utterance is trained on, others once. */
const val CORRECTION_WEIGHT = 4

private const val MOST_LETTERS = 3.0 // so many times the letters that were heard is another utterance; and a third of them
private const val LEAST_LETTERS = 12 // of a text for that: a word may be heard as one letter

/**
 * An utterance that was heard wrong.
 *
 * @property example with what was meant.
 * @property heard what was written.
 * @property missed runs of words that were meant and not heard, in lower case.
 * @property learned phrases that it taught the recogniser, which [Recognizer.forget] takes back.
 */
class Correction(val example: Example, val heard: String, val missed: List<String>, val learned: List<String>)

/** A word that was meant, and whether it was heard. */
private class MeantWord(val text: String, val heard: Boolean)

/**
 * The words that were meant, against those that were heard, by the fewest errors.
 *
 * @property more how many words were heard that were not meant.
 */
private class Comparison(val words: List<MeantWord>, val more: Int)

/** In lower case: a keyboard gives its own. */
private fun compared(meant: String, heard: String, normalize: Boolean): Comparison {
    val (said, written) = comparedWords(meant.lowercase(Locale.ROOT), heard.lowercase(Locale.ROOT), normalize)
    val places = alignedPlaces(said, written)
    val words = said.zip(places) { word, place -> MeantWord(word, place != null && written[place] == word) }
    return Comparison(words, written.size - places.count { it != null })
}

/**
 * The runs of words of [meant] that [heard] does not have in their place, in lower case.
 *
 * @param normalize punctuation and the spelling of numbers make no difference; case never does.
 */
fun missedWords(meant: String, heard: String, normalize: Boolean): List<String> =
    runs(compared(meant, heard, normalize).words) { !it.heard }.map { run -> run.joinToString(" ") { it.text } }

/** [InputError] for a text that corrects nothing, or that is of another utterance than was heard. */
internal fun checkCorrection(meant: String, heard: String, normalize: Boolean, where: String = "") {
    val place = if (where.isEmpty()) "" else "$where: "
    val compared = compared(meant, heard, normalize)
    if (compared.more == 0 && compared.words.all { it.heard }) {
        throw InputError("${place}expected another text than what was heard, '$heard'; there is nothing to correct")
    }
    val (more, fewer) = listOf(meant, heard).map(::letters).let { maxOf(it[0], it[1]) to minOf(it[0], it[1]) }
    if (letters(heard) > 0 && more > LEAST_LETTERS && more > MOST_LETTERS * fewer) {
        throw InputError(
            "${place}expected a text for what was heard, '$heard', got one of ${letters(meant)} letters for ${letters(heard)}: it " +
                "is of another utterance; leave it out",
        )
    }
}

/**
 * The names in which a word was not heard, and each such word by itself.
 *
 * A name is a run of rare words, for which the second pass has no subword of its own: "Aoife Rasmussen" where "Ifa Rasmussen"
 * was heard. None where there are no [subwords] that tell rare words from others.
 */
fun namesIn(meant: String, heard: String, subwords: SubwordTokenizer?, normalize: Boolean): List<String> {
    if (subwords == null) return emptyList()
    val found = LinkedHashSet<String>()
    for (run in runs(compared(meant, heard, normalize).words) { isRare(it.text, subwords) }) {
        val missed = run.filter { !it.heard }
        if (missed.isNotEmpty()) found.add(run.joinToString(" ") { it.text })
        missed.forEach { found.add(it.text) }
    }
    return found.toList()
}

/** The stretches of words side by side for which [belongs] holds. */
private fun runs(words: List<MeantWord>, belongs: (MeantWord) -> Boolean): List<List<MeantWord>> {
    val runs = ArrayList<MutableList<MeantWord>>()
    var open = false
    for (word in words) {
        val belonging = belongs(word)
        if (belonging && !open) runs.add(ArrayList())
        if (belonging) runs.last().add(word)
        open = belonging
    }
    return runs
}

/** Whether a word in lower case takes several subwords in each case that they can spell; false where in none. */
private fun isRare(word: String, subwords: SubwordTokenizer): Boolean {
    if (!word.replace("'", "").let { it.isNotEmpty() && it.codePoints().allMatch(Character::isLetter) }) return false
    val spellings = listOf(word, word.replaceFirstChar { it.titlecase(Locale.ROOT) }, word.uppercase(Locale.ROOT))
    val counts = spellings.mapNotNull { spelled -> runCatching { subwords.encode(spelled).size }.getOrNull() }
    return counts.isNotEmpty() && counts.min() > 1
}

private fun letters(text: String): Int = text.codePoints().filter(Character::isLetterOrDigit).count().toInt()

/** Phrases as a checkpoint holds them, [n] int8: UTF-8, a line feed behind each. */
internal fun bytesOf(phrases: List<String>): Tensor {
    val bytes = phrases.joinToString("") { "$it\n" }.toByteArray()
    return Tensor(DType.INT8, intArrayOf(bytes.size)).also { it.bytes().put(bytes) }
}

/** The phrases that [bytesOf] wrote; [InputError] for other bytes. */
internal fun phrasesOf(tensor: Tensor, where: String): List<String> {
    val bytes = ByteArray(tensor.elements).also { tensor.bytes().get(it) }
    val text = try {
        Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
    } catch (error: CharacterCodingException) {
        throw InputError("$where: expected phrases in UTF-8, got other bytes (${error.message})", error)
    }
    return text.split("\n").dropLast(1)
}
