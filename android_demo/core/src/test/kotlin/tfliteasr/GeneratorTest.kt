package tfliteasr

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.cos
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import tfliteasr.data.varyFrames
import tfliteasr.data.varyRecording
import tfliteasr.data.varySpeed
import tfliteasr.runtime.FeatureConfig
import tfliteasr.runtime.Frames

/** NumPy's draws (vectors/of_draws.py), and what Python makes of a tone with them. */
class GeneratorTest {
    private val vectors = vectors("draws")

    @Test
    fun `every kind of draw is NumPy's, one after the other`() {
        for (expected in vectors.list("of")) {
            val random = Generator(*expected.numbers("seeds").map { it.toLong() }.toLongArray())
            assertEquals(expected.numbers("random"), List(5) { random.random() })
            assertEquals(
                expected.numbers("uniform"),
                listOf(random.uniform(-6.0, 6.0), random.uniform(0.0, 0.3), random.uniform(0.0, 0.3)),
            )
            assertEquals(expected.shape("integers").toList(), List(21) { random.integers(1, 5) })
            assertEquals(expected.shape("permutation").toList(), random.permutation(50).toList())
            val choices = expected.matrix("choice").map { row -> row.map { it.toInt() } }
            assertEquals(choices, listOf(random.choice(230, 2), random.choice(40, 35)))
            assertEquals(expected.shape("shuffled").toList(), (0 until 20).toMutableList().also(random::shuffle))
            val normals = List(vectors.int("normals")) { random.normalFloat() }
            assertEquals(expected.numbers("first_normals"), normals.take(10).map { it.toDouble() })
            assertEquals(expected.double("sum_of_normals"), normals.sumOf { it.toDouble() }, 1e-4)
            assertEquals(expected.double("largest_normal"), normals.maxOf { abs(it) }.toDouble())
            assertClose(expected.numbers("chisquare"), List(1000) { random.chisquare(6) }, 1e-12)
            assertEquals(expected.double("random_after_all"), random.random())
        }
    }

    @Test
    fun `a recording and frames are varied as Python does`() {
        val tone = FloatArray(4000) { (0.3 * sin(2 * PI * 440 * it / 16000)).toFloat() }
        val frames = Frames(FloatArray(50 * 40) { cos(it / 40 / 7.0 + it % 40 / 5.0).toFloat() }, 40)
        val features = FeatureConfig(16000, 400, 160, 40, 60.0, 3800.0, 1e-7, -7.5, 3.5)
        for (expected in vectors.list("varied")) {
            val seed = expected.long("seed")
            val recording = varyRecording(varySpeed(tone, 1.12), 16000, Generator(seed, 1))
            assertEquals(expected.int("samples"), recording.size)
            assertClose(expected.numbers("recording"), recording.asList().chunked(500) { it[0].toDouble() }, 1e-4)
            val moved = varyFrames(frames, features, Generator(seed, 2))
            assertEquals(expected.int("frames"), moved.length)
            assertClose(expected.numbers("frame_means"), moved.values.asList().chunked(40) { it.average() }, 1e-4)
        }
    }
}
