package tfliteasr.jvm

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.ExitPolicy
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.confidence
import tfliteasr.runtime.entropy

/** A transducer with an early exit is heard as Python hears it (vectors/of_exits.py). */
class EarlyExitsTest {
    private val vectors = Shipped.vectors("exits")
    private val utterances = vectors.shape("lengths").map(::noise)

    private fun recognizer(): Recognizer =
        Artifact.read(Shipped.folder.resolve("early.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    @Test
    fun `each exit says the same, as surely`() = recognizer().use { recognizer ->
        val all = vectors.list("at_each").map { it.list("exits") }
        for ((expected, frames) in all.zip(utterances)) {
            val found = recognizer.exits(frames, beam = true).toList()
            assertEquals(expected.map { it.string("text") }, found.map { it.text() })
            val labels = found[0].logProbabilities!!
            assertEquals(expected[0].int("steps"), labels.size)
            assertClose(listOf("entropy", "confidence").map(expected[0]::double), listOf(entropy(labels), confidence(labels)), 1e-4)
            assertEquals(null, found[1].logProbabilities)
        }
    }

    @Test
    fun `policies leave at the same exits with the same text`() = recognizer().use { recognizer ->
        val left = HashSet<Int>()
        for (row in vectors.list("policies")) {
            fun number(name: String) = if (name in row) row.double(name) else null
            val policy = ExitPolicy(number("exit")?.toInt(), number("entropy_below"), number("confidence_above"))
            for (beam in listOf(false, true)) {
                val found = utterances.map { recognizer.transcribeEarly(it, policy, beam) }
                val expected = row.at(if (beam) "beam" else "greedy")
                assertEquals(expected.strings("texts"), found.map { it.text }, "$policy, beam: $beam")
                assertEquals(expected.shape("exits").toList(), found.map { it.exit }, "$policy, beam: $beam")
                found.mapTo(left) { it.exit }
            }
        }
        assertEquals(setOf(0, 1), left)
        assertEquals(vectors.strings("transcribed"), utterances.map { recognizer.transcribeFrames(it) })
        val error = assertThrows(InputError::class.java) { recognizer.transcribeEarly(utterances[0], ExitPolicy(exit = 2)) }
        assertEquals("expected an exit from 0 to 1 (exit_0, final), got 2", error.message)
    }

    @Test
    fun `losses by exit are those of the file, and training lowers them`() = recognizer().use { recognizer ->
        val examples = utterances.take(2).map { Example(it, intArrayOf(3, 1, 4), "C A", "a formula") }
        val before = recognizer.exitLosses(examples)
        assertEquals(listOf(2, 2), before.map { it.size })
        repeat(5) { recognizer.trainStep(examples, learningRate = 0.05f, clipNorm = 5f) }
        val after = recognizer.exitLosses(examples)
        for (exit in 0..1) assertTrue(after[exit].average() < before[exit].average(), "$before, then $after")
    }

    @Test
    fun `a model of one exit has no policy but that one`() = Shipped.recognizer().use { recognizer ->
        val silence = Frames(FloatArray(100 * 40) { -2f }, 40)
        assertEquals(0, recognizer.transcribeEarly(silence, ExitPolicy(exit = 0)).exit)
        val error = assertThrows(InputError::class.java) { recognizer.transcribeEarly(silence, ExitPolicy(entropyBelow = 0.1)) }
        assertTrue(error.message!!.endsWith("has no early exits to choose from"))
    }
}
