package tfliteasr

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test

class MetricsTest {
    @Test
    fun `errors are pooled over the utterances`() {
        val rates = errorRates(listOf("ONE TWO THREE", "FOUR"), listOf("ONE THREE", "FOUR FIVE"))
        assertEquals(2, rates.wordErrors) // TWO deleted, FIVE inserted
        assertEquals(2.0 / 4, rates.wer)
        assertEquals((4 + 5) / 17.0, rates.cer)
    }

    @Test
    fun `only white space is folded`() {
        assertEquals(0.0, errorRates(listOf(" ONE  TWO "), listOf("ONE TWO")).wer)
        assertEquals(1.0, errorRates(listOf("ONE"), listOf("one")).wer)
    }

    @Test
    fun `case, punctuation and the spelling of numbers are no errors of normalized texts`() {
        val rates = errorRates(listOf("IT'S THE TWENTY FIRST", "ONE TWO", "?"), listOf("It's the 21st.", "1, three", "?"), true)
        assertEquals(1, rates.wordErrors)
        assertEquals(7, rates.words)
    }

    @Test
    fun `a distance is the least number of edits`() {
        assertEquals(3, editDistance("kitten".toList(), "sitting".toList()))
        assertEquals(4, editDistance("".toList(), "four".toList()))
    }

    @Test
    fun `an error rate needs words to count against`() {
        assertThrows(InputError::class.java) { errorRates(listOf("ONE", " "), listOf("ONE", "TWO")) }
        assertThrows(InputError::class.java) { errorRates(emptyList(), emptyList()) }
        assertThrows(InputError::class.java) { errorRates(listOf("ONE"), emptyList()) }
    }

    @Test
    fun `a reduction is relative to what was there before`() {
        assertEquals(0.75, relativeReduction(0.4, 0.1), 1e-12)
        assertEquals(0.0, relativeReduction(0.0, 0.0))
        assertEquals(-1.0, relativeReduction(0.0, 0.1))
    }
}
