package tfliteasr.audio

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import tfliteasr.InputError

class SamplesTest {
    private fun told(block: () -> Unit) = assertThrows(InputError::class.java) { block() }.message

    @Test
    fun `samples are finite and from -1 to 1`() {
        checkSamples(floatArrayOf(0f, -1f, 1.5f))
        assertEquals("s: expected speech, got no samples", told { checkSamples(FloatArray(0), "s") })
        assertEquals("s: expected finite samples, 1 are NaN or infinite", told { checkSamples(floatArrayOf(Float.NaN), "s") })
        val shorts = ShortArray(4) { (1000 * it).toShort() }
        assertEquals(
            "s: expected samples from -1 to 1, got a peak of 3000.0; divide samples of 16 bits by 32768",
            told { checkSamples(FloatArray(4) { shorts[it].toFloat() }, "s") },
        )
        assertEquals("s: expected speech, got silence; leave it out", told { checkNotSilent(FloatArray(5), "s") })
    }
}
