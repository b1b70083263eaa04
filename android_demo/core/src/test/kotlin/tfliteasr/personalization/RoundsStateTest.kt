package tfliteasr.personalization

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.data.Utterance

class RoundsStateTest {
    @TempDir
    lateinit var folder: File

    private val chosen = Candidate(0, listOf("a", "b"), "split", 2, 3, 4, 1234L, 99.5, 0.25, 0.75, null)
    private val rows = listOf(
        Epoch(0, 0, 0.5, null, 12.25, 0.4, 300.0, best = true),
        Epoch(1, 25, 9.0, 3.5, Double.NaN, 0.3, null, best = false),
    )

    @Test
    fun `what is saved is read back`() {
        val done = Round(1, 20, chosen, rows, 25, 9.0, ended = true, stoppedBecause = "all done", measured = mapOf("test_wer" to 0.25))
        val readings = listOf(Resources(1.0, 500.0, null, charging = true, temperatureC = 30.5))
        val path = folder.resolve(STATE)
        RoundsState("of", listOf(done, Round(2, 30, chosen)), readings).save(path)
        val found = RoundsState.read(path)
        assertEquals(listOf(done.copy(history = done.history), Round(2, 30, chosen)).toString(), found.rounds.toString())
        assertEquals(readings, found.readings)
        assertEquals(0.4, found.rounds[0].bestWer)
        assertFalse(found.finished(2) || found.finished(1))
        assertTrue(RoundsState("of", listOf(done), readings).finished(1))
        assertEquals(listOf(STATE), folder.list()!!.toList())
    }

    @ParameterizedTest
    @ValueSource(strings = ["", "{", "[]", "{}", """{"of": 1, "rounds": [], "resources": []}"""])
    fun `a file that is none is told`(content: String) {
        val path = folder.resolve(STATE).apply { writeText(content) }
        val error = assertThrows(InputError::class.java) { RoundsState.read(path) }
        assertTrue(error.message!!.startsWith("$path: not the state of rounds ("), error.message)
    }

    @Test
    fun `utterances arrive once each, as many in every round`() {
        val utterances = List(12) { Utterance(File("$it.wav"), "ONE", "ann", "m.jsonl:$it") }
        val parts = arriving(utterances, 5, seed = 3)
        assertEquals(listOf(3, 3, 2, 2, 2), parts.map { it.size })
        assertEquals(utterances.toSet(), parts.flatten().toSet())
        val error = assertThrows(InputError::class.java) { arriving(utterances, 12, seed = 0) }
        assertEquals("rounds 12: expected more utterances than rounds, got 12", error.message)
    }
}
