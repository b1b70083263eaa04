package tfliteasr.runtime

import kotlin.math.exp
import kotlin.math.ln
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.assertClose
import tfliteasr.vectors

/** Exit policies, and the beam search over a CTC head's labels. */
class ExitsTest {
    private val even = List(6) { FloatArray(5) { -ln(5f) } }
    private val sure = listOf(0, 1, 0, 2, 2, 0).map { said -> FloatArray(5) { ln(if (it == said) 0.968f else 0.008f) } }

    @Test
    fun `the beam search and the scores of prefixes are Python's`() {
        for (case in vectors("exits").list("searches")) {
            val rows = case.matrix("log_probabilities").map { row -> row.map { it.toFloat() }.toFloatArray() }
            val found = prefixBeamSearch(rows, case.int("beam"), case.int("max_tokens"))
            assertEquals(case.matrix("tokens").map { row -> row.map { it.toInt() } }, found.map { it.tokens })
            assertClose(case.numbers("scores"), found.map { it.logProbability }, 1e-6)
            assertEquals(case.shape("best_path").toList(), bestPath(rows))
            val prefixes = CtcPrefixScores(rows)
            for (row in case.list("prefixes")) {
                val labels = row.shape("labels").toList()
                assertEquals(row.double("prefix"), prefixes.prefix(labels), 1e-6)
                assertEquals(row.double("whole"), prefixes.whole(labels), 1e-6)
            }
        }
    }

    @Test
    fun `alignments of one sequence add up`() {
        // blank is the best label of each step, but two alignments of [1] together outweigh it
        val rows = List(2) { floatArrayOf(ln(0.6f), ln(0.4f)) }
        val best = prefixBeamSearch(rows, beam = 2, maxTokens = 4)[0]
        assertEquals(listOf(1), best.tokens)
        assertEquals(1 - 0.36, exp(best.logProbability), 1e-6)
        assertEquals(0.0, prefixBeamSearch(emptyList(), 5, 2).single().logProbability)
    }

    @Test
    fun `a policy leaves where it is sure`() {
        val seen = listOf(even, sure, even)
        fun left(policy: ExitPolicy) = seen.mapIndexed { exit, rows -> policy.leaves(exit, rows) }
        assertEquals(listOf(false, true, true), left(ExitPolicy(exit = 1)))
        assertEquals(listOf(false, true, false), left(ExitPolicy(entropyBelow = 0.2)))
        assertEquals(listOf(false, true, false), left(ExitPolicy(confidenceAbove = 0.5)))
        assertEquals(ln(5.0) / 5, entropy(even), 1e-6)
        assertEquals(0.0, entropy(listOf(floatArrayOf(0f, -200f, -200f))), 1e-80)
        assertEquals(0.7, confidence(listOf(floatArrayOf(ln(0.7f), ln(0.3f)))), 1e-6)
    }

    @Test
    fun `what is no policy is refused`() {
        fun told(make: () -> ExitPolicy) = assertThrows(InputError::class.java) { make() }.message!!
        assertTrue("expected one of" in told { ExitPolicy() })
        assertTrue("expected one of" in told { ExitPolicy(exit = 1, entropyBelow = 0.1) })
        assertTrue("got -1" in told { ExitPolicy(exit = -1) })
        assertTrue("got NaN" in told { ExitPolicy(entropyBelow = Double.NaN) })
        assertTrue("got 1.5" in told { ExitPolicy(confidenceAbove = 1.5) })
    }
}
