package tfliteasr.runtime

import kotlin.math.PI
import kotlin.math.cos
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.pow
import kotlin.math.sqrt
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.JsonObject

class VoiceTest {
    private val some = Mixture(floatArrayOf(0.25f, 0.75f), floatArrayOf(0f, 1f, -2f, 3f), floatArrayOf(1f, 0.5f, 2f, 4f))

    /** Weight times density of a component, by the formula. */
    private fun density(x: DoubleArray, k: Int): Double = some.weights[k] * x.indices.fold(1.0) { product, index ->
        val (mean, variance) = some.means[2 * k + index].toDouble() to some.variances[2 * k + index].toDouble()
        product * exp(-(x[index] - mean).pow(2) / (2 * variance)) / sqrt(2 * PI * variance)
    }

    /** Utterances of a voice: loud frames with the voice's spectrum among quiet ones. */
    private fun speech(voice: Long, seed: Long, count: Int): List<Frames> {
        val shape = Generator(voice)
        val spectrum = FloatArray(40) { shape.normalFloat() }
        val random = Generator(voice, seed)
        return List(count) {
            Frames(FloatArray(60 * 40) { 0.6f * random.normalFloat() + spectrum[it % 40] - if (it / 40 % 3 == 0) 4 else 0 }, 40)
        }
    }

    /** One broad component about many voices. */
    private fun everybody(): Mixture {
        val frames = (100L..130L).flatMap { speech(it, 0, 2) }.flatMap(::cepstra)
        val means = FloatArray(CEPSTRA) { index -> frames.map { it[index] }.average().toFloat() }
        val variances = FloatArray(CEPSTRA) { index -> frames.map { (it[index] - means[index]).pow(2) }.average().toFloat() }
        return Mixture(floatArrayOf(1f), means, variances)
    }

    @Test
    fun `log components are weighted gaussians`() {
        val x = doubleArrayOf(0.3, -1.2)
        assertEquals(ln(density(x, 0)), some.logComponents(x)[0], 1e-6)
        assertEquals(ln(density(x, 1)), some.logComponents(x)[1], 1e-6)
        assertEquals(ln(density(x, 0) + density(x, 1)), some.logLikelihood(listOf(x)), 1e-6)
    }

    @Test
    fun `adapted means are the paper's`() {
        val frames = List(30) { doubleArrayOf(it / 10.0, 2 - it / 5.0) }
        val adapted = some.adapted(frames)
        for (k in 0 until 2) for (index in 0 until 2) {
            val shares = frames.map { density(it, k) / (density(it, 0) + density(it, 1)) }
            val mean = frames.indices.sumOf { shares[it] * frames[it][index] } / shares.sum()
            val alpha = shares.sum() / (shares.sum() + 8)
            assertEquals(alpha * mean + (1 - alpha) * some.means[2 * k + index], adapted.means[2 * k + index].toDouble(), 1e-5)
        }
        assertTrue(adapted.weights === some.weights && adapted.variances === some.variances)
    }

    @Test
    fun `cepstra are the cosine transform of the loud frames`() {
        val frames = speech(1, 0, 1).single()
        val loud = (0 until 60).filter { it % 3 != 0 }.map { frames.values.copyOfRange(40 * it, 40 * it + 40) }
        val found = cepstra(frames)
        assertEquals(loud.size, found.size)
        val expected = (0 until 40).sumOf { loud[5][it] * cos(PI / 40 * (it + 0.5) * 7) } * sqrt(2.0 / 40)
        assertEquals(expected, found[5][7], 1e-5)
        for (silent in listOf(Frames(FloatArray(40), 40), Frames(FloatArray(360) { -3f }, 40))) {
            assertTrue(cepstra(silent).isNotEmpty() && cepstra(silent).all { row -> row.all { it.isFinite() } })
        }
    }

    @Test
    fun `the owner is told from others`() {
        val owner = learnOwner(everybody(), speech(1, 0, 10))!!
        assertTrue(speech(1, 1, 20).count(owner::speaks) >= 19)
        assertTrue((2L..11L).flatMap { speech(it, 1, 4) }.count(owner::speaks) <= 2)
    }

    @Test
    fun `too few utterances, or a voice like everybody's, are no voice`() {
        assertNull(learnOwner(everybody(), speech(1, 0, 4)))
        val random = Generator(9)
        fun noise(count: Int) = List(count) { Frames(FloatArray(60 * 40) { random.normalFloat() }, 40) }
        val frames = noise(300).flatMap(::cepstra)
        val means = FloatArray(CEPSTRA) { index -> frames.map { it[index] }.average().toFloat() }
        val variances = FloatArray(CEPSTRA) { index -> frames.map { (it[index] - means[index]).pow(2) }.average().toFloat() }
        assertNull(learnOwner(Mixture(floatArrayOf(1f), means, variances), noise(5)))
    }

    @Test
    fun `a mixture that is none is refused`() {
        fun read(json: String) = Mixture.fromJson(JsonObject.parse(json, "m.json"))
        assertEquals(2, read("""{"weights": [0.5, 0.5], "means": [[1], [2]], "variances": [[1], [1]]}""").components)
        val error = assertThrows(InputError::class.java) { read("""{"weights": [1], "means": [[1], [2]], "variances": [[1]]}""") }
        assertTrue("expected means and variances of 1 components" in error.message!!)
    }
}
