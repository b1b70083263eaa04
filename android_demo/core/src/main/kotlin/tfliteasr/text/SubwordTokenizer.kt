package tfliteasr.text

import java.io.ByteArrayOutputStream
import java.util.PriorityQueue
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.runtime.ModelConfig

private const val SPACE = "\u2581" // stands for a space inside pieces
private val SPECIAL = setOf("<unk>", "<s>", "</s>") // never part of a text
private val BYTES = List(256) { "<0x%02X>".format(it) }
private val BYTE_OF = BYTES.withIndex().associate { (byte, piece) -> piece to byte }

/**
 * Byte-pair encoding over the pieces of a vocabulary, as sentencepiece does it, case and punctuation as the pieces have them.
 *
 * A text gets a space in front, and its characters are merged pair by pair: always the pair first that makes the piece with
 * the best score, the leftmost of equals. A character that is no piece becomes its UTF-8 bytes, if the vocabulary has the
 * pieces `<0x00>` to `<0xFF>`. Nothing else is normalized.
 *
 * @property pieces in the order of their ids; U+2581 stands for a space. An empty one is never part of a text.
 * @property scores of the pieces, the highest is merged first; without them the lowest id is.
 * @property offset id of the first piece; 1 leaves the id 0 to the blank of CTC or a transducer.
 */
class SubwordTokenizer(val pieces: List<String>, val scores: List<Double>? = null, val offset: Int = 0) : Tokenizer {
    private val ids = HashMap<String, Int>(2 * pieces.size)

    /** Of each piece that can be part of a text: the lowest is merged first. */
    private val ranks = HashMap<String, Double>(2 * pieces.size)

    init {
        if (scores != null && scores.size != pieces.size) {
            throw InputError("tokenizer: expected a score for each of ${pieces.size} pieces, got ${scores.size} scores")
        }
        if (pieces.isEmpty()) throw InputError("tokenizer: expected at least one piece, got none")
        pieces.forEachIndexed { index, piece ->
            if (ids.put(piece, index) != null) {
                throw InputError("tokenizer: expected each piece once, '$piece' came more than once")
            }
            if (piece.isNotEmpty() && piece !in SPECIAL && piece !in BYTE_OF) {
                ranks[piece] = scores?.let { -it[index] } ?: index.toDouble()
            }
        }
        val missing = BYTES.filter { it !in ids }
        if (missing.size in 1 until BYTES.size) {
            throw InputError("tokenizer: expected all of the byte pieces <0x00> to <0xFF> or none, ${missing[0]} is missing")
        }
        if (offset !in 0..1) {
            throw InputError("tokenizer: expected the first piece to have the id 0, or 1 behind a blank, got $offset")
        }
    }

    override val vocabularySize: Int get() = offset + pieces.size

    override fun encode(text: String, where: String): IntArray {
        val place = if (where.isEmpty()) "" else "$where: "
        if (text.isBlank()) throw InputError("${place}expected a text, got an empty one; leave the utterance out")
        val found = ArrayList<Int>(text.length)
        val unknown = sortedSetOf<String>()
        for (symbol in merged((" $text").replace(" ", SPACE))) {
            val lone = symbol.length == 1 && symbol[0].isSurrogate() // half a pair, which has no UTF-8
            when {
                symbol in ranks -> found.add(ids.getValue(symbol))
                lone || BYTES[0] !in ids -> unknown.add(symbol.replace(SPACE, " "))
                else -> symbol.toByteArray().mapTo(found) { ids.getValue(BYTES[it.toInt() and 0xff]) }
            }
        }
        if (unknown.isNotEmpty()) {
            throw InputError(
                "$place${unknown.joinToString { "'$it'" }} not among the model's ${pieces.size} subwords, nor their bytes; " +
                    "spell the text without",
            )
        }
        return IntArray(found.size) { found[it] + offset }
    }

    /** The text of token ids; blanks, special pieces and the space in front are left out. Bytes that make no character become
     * U+FFFD. */
    override fun decode(ids: Iterable<Int>): String {
        checkIds(ids, vocabularySize, "subwords")
        val spoken = ids.filter { it >= offset }.map { pieces[it - offset] }.filter { it.isNotEmpty() && it !in SPECIAL }
        val text = StringBuilder()
        val run = ByteArrayOutputStream()
        spoken.forEachIndexed { index, piece ->
            val byte = BYTE_OF[piece]
            if (byte != null) {
                run.write(byte)
            } else {
                val spelled = if (index == 0) piece.removePrefix(SPACE) else piece
                text.append(characters(run.toByteArray())).append(spelled.replace(SPACE, " "))
                run.reset()
            }
        }
        return text.append(characters(run.toByteArray())).toString()
    }

    /** What each token id stands for in a text, with the space in front of a word; "" of blanks and special pieces, U+FFFD of
     * a byte. */
    override fun spellings(): List<String> = List(offset) { "" } + pieces.map {
        if (it in SPECIAL) "" else if (it in BYTE_OF) "\ufffd" else it.replace(SPACE, " ")
    }

    private class Pair(val rank: Double, val left: Int, val right: Int, val length: Int) : Comparable<Pair> {
        override fun compareTo(other: Pair): Int = compareValuesBy(this, other, { it.rank }, { it.left })
    }

    /** The pieces of a text, and its characters that are none. */
    private fun merged(text: String): List<String> {
        val symbols = text.codePoints().toArray().map { String(Character.toChars(it)) }.toMutableList()
        val after = IntArray(symbols.size) { it + 1 } // index of the next symbol
        val before = IntArray(symbols.size) { it - 1 }
        val queue = PriorityQueue<Pair>()
        fun offer(left: Int, right: Int) {
            val pair = symbols[left] + symbols[right]
            ranks[pair]?.let { queue.add(Pair(it, left, right, pair.length)) }
        }
        for (left in 0 until symbols.lastIndex) offer(left, left + 1)
        while (true) {
            val next = queue.poll() ?: break
            val pair = symbols[next.left] + symbols[next.right]
            // one of them has been merged with another since
            if (symbols[next.left].isEmpty() || symbols[next.right].isEmpty() || pair.length != next.length) continue
            symbols[next.left] = pair
            symbols[next.right] = "" // the right one of a merged pair
            val following = after[next.right]
            after[next.left] = following
            if (following < symbols.size) {
                before[following] = next.left
                offer(next.left, following)
            }
            if (before[next.left] >= 0) offer(before[next.left], next.left)
        }
        return symbols.filter { it.isNotEmpty() }
    }

    companion object {
        fun fromJson(value: JsonObject): SubwordTokenizer {
            val type = value.string("type")
            if (type != "subwords") throw InputError("tokenizer: expected the type 'subwords', got '$type'")
            return SubwordTokenizer(
                value.strings("pieces"),
                if ("scores" in value) value.numbers("scores") else null,
                if ("offset" in value) value.int("offset") else 0,
            )
        }

        /** UTF-8 text of bytes, U+FFFD for each byte that is not part of a character. */
        private fun characters(bytes: ByteArray): String {
            val text = StringBuilder()
            var at = 0
            while (at < bytes.size) {
                val length = (1..minOf(4, bytes.size - at)).firstOrNull { isCharacter(bytes.copyOfRange(at, at + it)) }
                text.append(if (length == null) "\ufffd" else String(bytes, at, length))
                at += length ?: 1
            }
            return text.toString()
        }

        private fun isCharacter(bytes: ByteArray): Boolean {
            val text = String(bytes)
            return text.codePointCount(0, text.length) == 1 && text.toByteArray().contentEquals(bytes)
        }
    }
}

/** What a decoder's tokens stand for; null of a model without one, or without subwords. */
fun decoderTokenizer(config: ModelConfig): SubwordTokenizer? =
    config.decoder?.subwords?.let { SubwordTokenizer(it.pieces, it.scores) }
