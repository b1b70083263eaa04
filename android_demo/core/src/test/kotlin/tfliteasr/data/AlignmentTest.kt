package tfliteasr.data

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import tfliteasr.runtime.DecoderConfig
import tfliteasr.runtime.EncoderConfig
import tfliteasr.runtime.FeatureConfig
import tfliteasr.runtime.ModelConfig
import tfliteasr.runtime.PredictionConfig
import tfliteasr.runtime.SizeConfig

class AlignmentTest {
    private val features = FeatureConfig(16000, 400, 160, 40, 60.0, 3800.0, 1e-7, -7.5, 3.5)
    private val sizes = SizeConfig(2, 120, 12, 24, 4, 8)
    private val ctc = ModelConfig(EncoderConfig(4, 0, 1, listOf(2)), sizes, features, 29, null, 20)

    @Test
    fun `a path spends a step on each label and on a blank between equal ones`() {
        assertNull(ctcProblem(intArrayOf(1, 2), 8, ctc))
        assertEquals("2 characters need 3 encoder steps, the audio has 2", ctcProblem(intArrayOf(1, 1), 11, ctc))
        assertNull(ctcProblem(intArrayOf(1, 1), 12, ctc))
    }

    @Test
    fun `a second pass that trains takes as many subwords as it decodes`() {
        val decoder = DecoderConfig(1, 2, 2, 40, 1, 2, 12.0, null, trains = true)
        val second = ctc.copy(decoder = decoder)
        assertNull(alignmentProblem(IntArray(8) { 5 }, 65, second)) // 0.665 s
        assertEquals("9 subwords, the decoder stops after 8 for this audio", alignmentProblem(IntArray(9) { 5 }, 65, second))
        assertNull(ctcProblem(IntArray(9) { 5 }, 4, second))
    }

    @Test
    fun `each exit has steps of its own`() {
        val encoder = EncoderConfig(3, 1, 2, listOf(0, 1, 2))
        assertEquals(listOf(8, 4, 4), encoder.stepsAtExits(26))
    }

    @Test
    fun `a transducer takes what its decoder can write down`() {
        val transducer = ModelConfig(EncoderConfig(3, 1, 2, listOf(2)), sizes, features, 29, PredictionConfig(16, 16), 20)
        assertNull(alignmentProblem(IntArray(8) { 1 }, 12, transducer))
        assertEquals("9 characters, its encoder steps allow 8", alignmentProblem(IntArray(9) { 1 }, 12, transducer))
    }
}
