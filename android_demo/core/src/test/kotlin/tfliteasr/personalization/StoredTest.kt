package tfliteasr.personalization

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Test
import tfliteasr.runtime.Example
import tfliteasr.runtime.FeatureConfig
import tfliteasr.runtime.Frames
import tfliteasr.runtime.FrontEnd
import tfliteasr.runtime.StemConfig

/** Utterances as they are stored: of a stem with a scale a channel, of log-mel bands with one for all. */
class StoredTest {
    private fun stored(frames: Frames, features: FrontEnd) =
        packed(listOf(Example(frames, intArrayOf(1, 2), "AB", "utterance 0")), features).tensors

    @Test
    fun `each channel of a stem fills the eight bits`() {
        val tensors = stored(Frames(floatArrayOf(0.5f, -20f, 0f, 0.25f, 10f, 0f), 3), StemConfig(3, 16_000))
        assertArrayEquals(byteArrayOf(127, -127, 0, 64, 64, 0), ByteArray(6).also { tensors.getValue("frames").bytes().get(it) })
        val scales = tensors.getValue("frame_scales").floats()
        assertEquals(listOf(254f, 6.35f), scales.take(2))
    }

    @Test
    fun `bands have one scale, which is not stored`() {
        val tensors = stored(Frames(FloatArray(80) { 0.5f }, 40), FeatureConfig(16_000, 400, 160, 40, 60.0, 3800.0, 1e-7, -7.5, 3.5))
        assertFalse("frame_scales" in tensors)
        assertEquals(12.toByte(), tensors.getValue("frames").bytes().get())
    }
}
