package tfliteasr.runtime

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Test

class ViewsTest {
    private fun check(hypotheses: List<Pair<Double, Double>>, expected: Int, searched: Int) {
        val made = hypotheses.map { (logProbability, bonus) -> Hypothesis(listOf(1), logProbability, bonus) }
        var taken = 0
        assertSame(made[expected], likeliest(made.asSequence().onEach { taken++ }))
        assertEquals(searched, taken)
    }

    @Test
    fun `the likeliest hypothesis wins, and no more is searched than matters`() {
        check(listOf(-0.1 to 0.0, -0.05 to 0.0), 0, 1) // sure of it
        check(listOf(-3.0 to 0.0, -2.0 to 0.0, -4.0 to 0.0), 1, 3)
        check(listOf(-3.0 to 0.0, -2.0 to 0.0, -2.5 to 1.0), 2, 3) // a hotword in it
        check(listOf(-3.0 to 5.0, -0.1 to 0.0, -0.05 to 9.0), 0, 2)
        check(listOf(Double.NEGATIVE_INFINITY to 0.0, Double.NEGATIVE_INFINITY to 0.0), 0, 2)
    }
}
