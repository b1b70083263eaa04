package tfliteasr.text

import java.io.File
import tfliteasr.InputError
import tfliteasr.readText

const val MOST_PHRASES = 10_000
private const val LONGEST_PHRASE = 200 // characters

/**
 * Words that are likelier today than the model thinks, such as a name: a hotword.
 *
 * @param text any case; one space between words.
 * @property weight how much more than others of the list; a factor on the list's weight.
 * @property where what an error names as its place, such as `names.txt:3`.
 */
class Phrase(text: String, val weight: Double = 1.0, val where: String = "") {
    val text = folded(text)

    init {
        val place = if (where.isEmpty()) "" else "$where: "
        if (this.text.codePoints().noneMatch(::continuesWord)) {
            throw InputError("${place}expected a phrase, got '${this.text}', which has no letters; leave it out")
        }
        val length = this.text.codePointCount(0, this.text.length)
        if (length > LONGEST_PHRASE) {
            throw InputError(
                "${place}expected a phrase of at most $LONGEST_PHRASE characters, got $length; give its words as phrases of " +
                    "their own",
            )
        }
        if (!(weight >= 0 && weight < Double.POSITIVE_INFINITY)) {
            throw InputError("${place}expected a weight of 0 or more for '${this.text}', got $weight")
        }
    }
}

/** The phrases of a file: one a line, behind a tab its weight where it has one; empty lines count nothing. */
fun readPhrases(path: File): List<Phrase> {
    val lines = readText(path, "a list of phrases, one a line").split("\n").withIndex().filter { it.value.isNotBlank() }
    checkCount(lines.size, path.path)
    val phrases = lines.map { (index, line) ->
        val where = "$path:${index + 1}"
        val text = line.substringBefore('\t')
        if ('\t' in line) Phrase(text, number(line.substringAfter('\t'), text, where), where) else Phrase(text, where = where)
    }
    return phrases.also { checkEachOnce(it) }
}

/** [InputError] unless there are phrases, not too many, and each once whatever its case. */
fun checkPhrases(phrases: List<Phrase>) {
    checkCount(phrases.size, "hotwords")
    checkEachOnce(phrases)
}

private fun number(value: String, text: String, where: String): Double = value.trim().toDoubleOrNull()
    ?: throw InputError("$where: expected a number as the weight of '${folded(text)}', got '$value'")

private fun checkCount(count: Int, where: String) {
    if (count == 0) throw InputError("$where: expected at least one phrase, got none")
    if (count > MOST_PHRASES) {
        throw InputError("$where: expected at most $MOST_PHRASES phrases, got $count; keep those that are likely today")
    }
}

private fun checkEachOnce(phrases: List<Phrase>) {
    val found = HashMap<String, Phrase>()
    for (phrase in phrases) {
        val first = found.getOrPut(lower(phrase.text)) { phrase }
        if (first !== phrase) {
            val place = listOf(phrase.where.ifEmpty { "hotwords" }, first.where.ifEmpty { "another place" })
            throw InputError("${place[0]}: expected each phrase once, '${phrase.text}' stands at ${place[1]} too; leave one out")
        }
    }
}
