package tfliteasr.personalization

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import tfliteasr.InputError

class SplitTest {
    @Test
    fun `a share is held out by seed, at least one of each`() {
        val parts = split((0 until 20).toList(), 0.15, seed = 3)
        assertEquals(3, parts.heldOut.size)
        assertEquals((0 until 20).toSet(), (parts.heldOut + parts.training).toSet())
        assertEquals(parts.heldOut, split((0 until 20).toList(), 0.15, seed = 3).heldOut)
        assertNotEquals(parts.heldOut, split((0 until 20).toList(), 0.15, seed = 4).heldOut)
        assertEquals(1, split(listOf(1, 2), 0.01, seed = 0).heldOut.size)
        assertEquals(1, split(listOf(1, 2), 0.99, seed = 0).training.size)
    }

    @Test
    fun `of few utterances none is held out`() {
        val few = trainingAndValidation((0 until 60).toList(), Settings())
        assertEquals((0 until 60).toList(), few.training)
        assertEquals(few.training, few.heldOut)
        assertEquals(9, trainingAndValidation((0 until 61).toList(), Settings()).heldOut.size)
        assertThrows(InputError::class.java) { trainingAndValidation(listOf(1), Settings()) }
    }

    @Test
    fun `one utterance, or no share, cannot be split`() {
        assertThrows(InputError::class.java) { split(listOf(1), 0.5, seed = 0) }
        assertThrows(InputError::class.java) { split(listOf(1, 2), 0.0, seed = 0) }
        assertThrows(InputError::class.java) { split(listOf(1, 2), 1.0, seed = 0) }
    }
}
