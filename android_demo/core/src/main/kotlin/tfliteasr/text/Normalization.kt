package tfliteasr.text

import java.text.Normalizer
import java.util.Locale

private const val NUMBER = "[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+"
private const val MOST_DIGITS = 12 // of a number; a longer one is read digit by digit
private const val SCALE = "hundred|thousand|million|billion|trillion"
private const val TENS = "(?:twen|thir|for|fif|six|seven|eigh|nine)"
private const val TEENS = "(?:thir|four|fif|six|seven|eigh|nine)teen"
private const val BELOW_HUNDRED =
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|$TEENS|${TENS}ty|first|second|third|" +
        "(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|$TEENS|${TENS}tie)th"
private val MONEY = mapOf(
    "$" to listOf("dollar", "dollars", "cent", "cents"),
    "\u20ac" to listOf("euro", "euros", "cent", "cents"),
    "\u00a3" to listOf("pound", "pounds", "penny", "pence"),
)

// as Python's: white space and words of all scripts
private const val SPACES = "\\s\\u001c-\\u001f\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
private const val NO_SPACE_BEFORE = "(?<![^$SPACES])"
private const val WORD_BEGINS = "(?<![\\p{L}\\p{N}_])"
private const val WORD_ENDS = "(?![\\p{L}\\p{N}_])"

internal val WHITE_SPACE = Regex("[$SPACES]+")
private val APOSTROPHES = Regex("[\u2018\u2019\u02bc]")
private val NEGATIVE = Regex("$NO_SPACE_BEFORE[-\u2212](?=[0-9])")
private val AMOUNT = Regex("([$\u20ac\u00a3]) ?($NUMBER)(?:\\.([0-9]+))?(?: ($SCALE)$WORD_ENDS)?")
private val ORDINAL = Regex("($NUMBER)(?:st|nd|rd|th)$WORD_ENDS")
private val DECIMAL = Regex("($NUMBER)?\\.([0-9]+)")
private val WHOLE = Regex(NUMBER)
private val SHORTENED = mapOf("mr" to "mister", "mrs" to "missus", "dr" to "doctor", "etc" to "et cetera")
    .mapKeys { (short, _) -> Regex("$WORD_BEGINS$short$WORD_ENDS") }
private val PERCENT = Regex("${WORD_BEGINS}per cent$WORD_ENDS|%")
private val SINGLE_DOT = Regex("(?<!\\.)\\.(?!\\.)")
private val QUOTES = Regex("(?:(?<= )|^)'+|'+(?= |$)")
private val AND = Regex("$WORD_BEGINS($SCALE) and (?=(?:$BELOW_HUNDRED)$WORD_ENDS)")

/**
 * A text in lower case and without punctuation but apostrophes in words, white space folded, numbers in words.
 *
 * Hyphens become spaces. `1,200`, `21st`, `3.5`, `5%`, `-5` and `$5.50` are spelled as they are said, without "and" behind
 * hundreds; `Mr.`, `Mrs.`, `Dr.` and `etc.` are written out; whole numbers from 1100 to 1999 and from 2010 to 2099 as
 * years, those with a leading zero digit by digit.
 */
fun normalized(text: String): String {
    val lower = Normalizer.normalize(text, Normalizer.Form.NFC).lowercase(Locale.ROOT)
    val spelled = withNumbersSpelled(lower.replace(APOSTROPHES, "'").replace(NEGATIVE, "minus "))
    val whole = SHORTENED.entries.fold(spelled) { said, (short, word) -> said.replace(short, word) }
    val words = withoutPunctuation(whole.replace(PERCENT, " percent ").replace("&", " and ").replace(SINGLE_DOT, ""))
    return words.split(' ').filter { it.isNotEmpty() }.joinToString(" ").replace(AND, "$1 ")
}

private fun withNumbersSpelled(text: String): String = text
    .replace(AMOUNT) { " ${money(it)} " }
    .replace(ORDINAL) { " ${numberWords(it.groupValues[1], Kind.ORDINAL)} " }
    .replace(DECIMAL) { " ${decimal(it.groupValues[1], it.groupValues[2])} " }
    .replace(WHOLE) { " ${numberWords(it.value, Kind.YEAR)} " }

/** Letters, marks, digits and the apostrophes between them; spaces for all else. */
private fun withoutPunctuation(text: String): String {
    val kept = StringBuilder()
    text.codePoints().forEach { c -> if (c == '\''.code || isKept(c)) kept.appendCodePoint(c) else kept.append(' ') }
    return kept.replace(QUOTES, "")
}

private val MARKS_AND_DIGITS = setOf(
    Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK,
    Character.DECIMAL_DIGIT_NUMBER, Character.LETTER_NUMBER, Character.OTHER_NUMBER,
)

private fun isKept(codePoint: Int): Boolean =
    Character.isLetter(codePoint) || Character.getType(codePoint).toByte() in MARKS_AND_DIGITS

private fun money(found: MatchResult): String {
    val (sign, whole, fraction, scale) = found.destructured
    val (one, many, smallOne, smallMany) = MONEY.getValue(sign)
    if (scale.isNotEmpty() || (fraction.isNotEmpty() && fraction.length != 2)) {
        val amount = if (fraction.isEmpty()) numberWords(whole, Kind.CARDINAL) else decimal(whole, fraction)
        return "$amount $scale $many"
    }
    val large = whole.filter { it != ',' }.trimStart('0')
    val small = if (fraction.isEmpty()) 0 else fraction.toInt()
    val parts = ArrayList<String>()
    if (large.isNotEmpty() || small == 0) parts.add("${numberWords(whole, Kind.CARDINAL)} ${if (large == "1") one else many}")
    if (small != 0) parts.add("${numberWords(small.toString(), Kind.CARDINAL)} ${if (small == 1) smallOne else smallMany}")
    return parts.joinToString(" and ")
}

private fun decimal(whole: String, fraction: String): String {
    val before = if (whole.isEmpty()) "" else numberWords(whole, Kind.CARDINAL)
    return "$before point ${fraction.map { cardinal((it - '0').toLong()) }.joinToString(" ")}"
}

private enum class Kind { CARDINAL, ORDINAL, YEAR }

/** A whole number, its thousands set off by commas or not, as it is said. */
private fun numberWords(number: String, kind: Kind): String {
    val digits = number.filter { it != ',' }
    if (digits.length > MOST_DIGITS || (digits[0] == '0' && digits.length > 1)) {
        return digits.map { cardinal((it - '0').toLong()) }.joinToString(" ")
    }
    val value = digits.toLong()
    return when {
        kind == Kind.ORDINAL -> ordinal(value)
        kind == Kind.YEAR && ',' !in number && (value in 1100..1999 || value in 2010..2099) -> year(value)
        else -> cardinal(value)
    }
}

private val ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen " +
        "eighteen nineteen"
    ).split(' ')
private val TIES = "twenty thirty forty fifty sixty seventy eighty ninety".split(' ')
private val SCALES = listOf(1_000_000_000L to "billion", 1_000_000L to "million", 1_000L to "thousand", 100L to "hundred")
private val ORDINALS = mapOf(
    "one" to "first", "two" to "second", "three" to "third", "five" to "fifth", "eight" to "eighth", "nine" to "ninth",
    "twelve" to "twelfth",
)

/** A number below 10^12. */
private fun cardinal(value: Long): String {
    for ((scale, name) in SCALES) {
        if (value >= scale) return "${cardinal(value / scale)} $name" + if (value % scale > 0) " ${cardinal(value % scale)}" else ""
    }
    if (value < 20) return ONES[value.toInt()]
    return TIES[(value / 10 - 2).toInt()] + if (value % 10 > 0) " ${ONES[(value % 10).toInt()]}" else ""
}

private fun ordinal(value: Long): String {
    val words = cardinal(value).split(' ')
    val last = words.last()
    val ending = ORDINALS[last] ?: if (last.endsWith("y")) last.dropLast(1) + "ieth" else last + "th"
    return (words.dropLast(1) + ending).joinToString(" ")
}

private fun year(value: Long): String {
    val rest = value % 100
    val ending = if (rest == 0L) "hundred" else if (rest < 10) "oh ${cardinal(rest)}" else cardinal(rest)
    return "${cardinal(value / 100)} $ending"
}
