package tfliteasr.runtime

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.assertClose
import tfliteasr.text.CharacterTokenizer
import tfliteasr.text.Phrase
import tfliteasr.text.PhraseAutomaton
import tfliteasr.text.SubwordTokenizer
import tfliteasr.text.WeightedText
import tfliteasr.text.checkPhrases
import tfliteasr.vectors

/** What hotwords add to tokens, and the prefix beam search with them (vectors/of_hotwords.py). */
class HotwordsTest {
    private val vectors = vectors("hotwords")
    private val subwords = SubwordTokenizer(vectors.strings("pieces"), offset = 1)
    private val letters = CharacterTokenizer(" ABCDEFGHIJKLMNOPQRSTUVWXYZ'", normalizes = true)

    private fun phrases(row: JsonObject): List<Phrase> = row.list("phrases").mapIndexed { index, it ->
        Phrase(it.string("text"), it.double("weight"), "hotwords[$index]")
    }

    private fun bonus(phrases: List<Phrase>): TokenBonus {
        checkPhrases(phrases)
        return tokenBonus(phrases, 1.5, subwords, Spellings(subwords.spellings()), normalizes = true)
    }

    @Test
    fun `tokens gain what they gain in Python`() {
        val (refused, taken) = vectors.list("lists").partition { "refused" in it }
        assertEquals(listOf(2, 2), listOf(refused.size, taken.size))
        for (row in refused) {
            assertEquals(row.string("refused"), assertThrows(InputError::class.java) { bonus(phrases(row)) }.message)
        }
        for (row in taken) {
            val bonus = bonus(phrases(row))
            var state = bonus.start
            for ((token, expected) in row.shape("tokens").zip(row.matrix("rows"))) {
                val gains = bonus.gains(state)
                assertClose(expected, gains.toList(), 1e-6)
                assertClose(expected, gains.indices.map { bonus.step(state, it).bonus }, 1e-6)
                state = bonus.step(state, token).state
            }
            assertEquals(row.double("final"), bonus.final(state), 1e-9)
        }
    }

    @Test
    fun `the prefix beam search finds what Python's finds`() {
        val listed = vectors.list("phrases").map { WeightedText(it.string("text"), it.double("weight")) }
        val hotwords = TokenBonus(PhraseAutomaton(listed), Spellings(vectors.strings("letters")))
        var gained = 0
        for (case in vectors.list("searches")) {
            val rows = case.matrix("log_probabilities").map { row -> row.map { it.toFloat() }.toFloatArray() }
            val found = prefixBeamSearch(rows, case.int("beam"), case.int("max_tokens"), hotwords)
            val expected = case.at("nbest")
            assertEquals(expected.matrix("tokens").map { row -> row.map { it.toInt() } }, found.map { it.tokens })
            assertClose(expected.numbers("log_probabilities"), found.map { it.logProbability }, 1e-6)
            assertClose(expected.numbers("bonuses"), found.map { it.bonus }, 1e-6)
            gained += found.count { it.bonus > 0 }
        }
        assertTrue(gained > 3)
    }

    private fun total(bonus: TokenBonus, tokens: IntArray): Double {
        var (state, gained) = bonus.start to 0.0
        for (token in tokens) bonus.step(state, token).let { gained += it.bonus; state = it.state }
        return gained + bonus.final(state)
    }

    @Test
    fun `a first pass in letters hears phrases as they are said`() {
        val phrases = listOf(Phrase("Dr. Smith-Jones"), Phrase("Route 66", 0.5))
        val bonus = tokenBonus(phrases, 1.0, letters, Spellings(letters.spellings()), normalizes = true)
        assertEquals(16.0, total(bonus, letters.encode("CALL DOCTOR SMITH JONES")))
        assertEquals(6.5, total(bonus, letters.encode("ROUTE SIXTY SIX")))
        assertEquals(0.0, total(bonus, letters.encode("ROUTE SIXTY SIXES")))
        val error = assertThrows(InputError::class.java) {
            tokenBonus(listOf(Phrase("Zo\u00eb", where = "n.txt:1")), 1.0, letters, Spellings(letters.spellings()), true)
        }
        assertTrue(error.message!!.startsWith("n.txt:1: '\u00cb' not among the model's characters"), error.message)
        for (weight in listOf(-1.0, Double.NaN, Double.POSITIVE_INFINITY)) {
            assertThrows(InputError::class.java) {
                tokenBonus(phrases, weight, letters, Spellings(letters.spellings()), true)
            }
        }
    }
}
