package tfliteasr.data

import java.io.File
import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.Generator

/** Joining utterances and varying recordings. */
class SpeechTest {
    private val utterances = List(40) { Utterance(File("$it.wav"), "WORD $it", "ann", "m.jsonl:$it") }
    private val tone = FloatArray(16000) { (0.2 * sin(2 * PI * 100 * it / 16000.0)).toFloat() }

    @Test
    fun `each utterance is in exactly one clip of at most so many`() {
        val clips = connect(utterances, 5, seed = 1) { true }
        assertEquals(utterances.toSet(), clips.flatMap { it.parts }.toSet())
        assertEquals(utterances.size, clips.sumOf { it.parts.size })
        assertTrue(clips.all { it.parts.size <= 5 && it.gapsSeconds.size == it.parts.size - 1 })
        assertTrue(clips.maxOf { it.parts.size } > 2)
    }

    @Test
    fun `a clip that does not fit is not made`() {
        val clips = connect(utterances, 5, seed = 1) { it.parts.size <= 2 }
        assertEquals(2, clips.maxOf { it.parts.size })
        assertEquals(utterances.size, clips.sumOf { it.parts.size })
    }

    @Test
    fun `with one a clip the order stays`() = assertEquals(utterances, connect(utterances, 1, seed = 1) { true }.map { it.parts.single() })

    @Test
    fun `voices are not joined`() {
        val two = utterances.mapIndexed { index, it -> it.copy(speaker = listOf("ann", "bob", null)[index % 3]) }
        val clips = connect(two, 5, seed = 1) { true }
        assertTrue(clips.all { clip -> clip.parts.map { it.speaker }.toSet().size == 1 })
        assertEquals(two.toSet(), clips.flatMap { it.parts }.toSet())
    }

    @Test
    fun `a faster tone is shorter and higher`() {
        val faster = varySpeed(tone, 1.2)
        assertEquals(13333, faster.size)
        fun crossings(samples: FloatArray) = samples.asList().zipWithNext().count { (a, b) -> a < 0 && b >= 0 }
        assertEquals(crossings(tone).toDouble(), crossings(faster).toDouble(), 1.0)
        assertArrayEquals(tone, varySpeed(tone, 1.0))
    }

    @Test
    fun `a varied recording is another one within full scale`() {
        for (seed in 1L..20L) {
            val varied = varyRecording(tone, 16000, Generator(seed))
            assertTrue(varied.size in tone.size..tone.size + 9600)
            assertTrue(varied.all { abs(it) <= 1f })
        }
        assertNotEquals(varyRecording(tone, 16000, Generator(1)).toList(), varyRecording(tone, 16000, Generator(2)).toList())
        assertArrayEquals(varyRecording(tone, 16000, Generator(1)), varyRecording(tone, 16000, Generator(1)))
    }
}
