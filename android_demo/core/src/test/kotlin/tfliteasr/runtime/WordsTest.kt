package tfliteasr.runtime

import java.io.File
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.assertClose
import tfliteasr.audio.Endpoint
import tfliteasr.audio.EndpointRules
import tfliteasr.audio.Endpointer
import tfliteasr.audio.EnergyDetector
import tfliteasr.audio.readWav
import tfliteasr.data.readManifest
import tfliteasr.vectors

private const val RATE = 16000

/** Voice activity, endpoints, alignments and confidences are Python's (vectors/of_words.py). */
class WordsTest {
    private val vectors = vectors("words")

    /** The recordings, each with a pause behind it. */
    private val samples: FloatArray by lazy {
        val pauses = vectors.numbers("pauses")
        readManifest(File("../vectors/speech/manifest.jsonl")).flatMapIndexed { index, row ->
            readWav(row.audio).samples.toList() + List(Math.rint(pauses[index % pauses.size] * RATE).toInt()) { 0f }
        }.toFloatArray()
    }

    private fun chunks(size: Int) = samples.indices.step(size).map { samples.copyOfRange(it, minOf(it + size, samples.size)) }

    private fun rows(values: List<List<Double>>) = values.map { row -> FloatArray(row.size) { row[it].toFloat() } }

    @ParameterizedTest
    @ValueSource(ints = [97, 1600, 1000000])
    fun `scores of chunks of any size are Python's`(size: Int) {
        val detector = EnergyDetector(RATE)
        val scores = chunks(size).flatMap { detector.process(it).toList() }
        val found = scores.filterIndexed { step, _ -> step % 10 == 0 }
        val worst = vectors.numbers("scores").zip(found).maxOf { (left, right) -> Math.abs(left - right) }
        assertEquals(vectors.numbers("scores").size, found.size)
        assertTrue(worst < 1e-4) { "$worst dB apart" }
        assertEquals(0, detector.process(FloatArray(0)).size)
    }

    @Test
    fun `utterances end where Python's do`() {
        for (case in vectors.list("endpoints")) {
            val rules = case.at("rules").let {
                EndpointRules(
                    it.double("leading_silence_seconds"),
                    it.double("trailing_silence_seconds"),
                    it.double("longest_seconds"),
                )
            }
            val endpointer = Endpointer(RATE, rules)
            val found = chunks(1234).flatMap(endpointer::process) + listOfNotNull(endpointer.finish())
            assertEquals(case.list("found").map { it.string("rule") }, found.map { it.rule })
            for ((row, endpoint) in case.list("found").zip(found)) assertClose(numbers(row), numbers(endpoint), 1e-9)
        }
    }

    private fun numbers(row: JsonObject) =
        listOf("start_seconds", "end_seconds", "decided_seconds").map(row::double) +
            listOf("speech_start_seconds", "speech_end_seconds").map { if (it in row) row.double(it) else -1.0 }

    private fun numbers(endpoint: Endpoint) = listOf(
        endpoint.startSeconds,
        endpoint.endSeconds,
        endpoint.decidedSeconds,
        endpoint.speechStartSeconds ?: -1.0,
        endpoint.speechEndSeconds ?: -1.0,
    )

    @Test
    fun `silence and no samples are no utterance`() {
        val endpointer = Endpointer(RATE)
        assertEquals(emptyList<Endpoint>(), endpointer.process(FloatArray(0)) + endpointer.process(FloatArray(RATE)))
        assertNull(endpointer.finish())
        assertThrows(InputError::class.java) { EndpointRules(longestSeconds = Double.NaN) }
    }

    @Test
    fun `the likeliest paths are Python's`() {
        for (case in vectors.list("ctc")) {
            val found = ctcAlignment(rows(case.matrix("log_probabilities")), case.shape("tokens"))
            assertEquals("first" in case, found != null)
            if (found != null) {
                assertArrayEquals(case.shape("first"), found.first)
                assertArrayEquals(case.shape("last"), found.last)
            }
        }
        for (case in vectors.list("transducer")) {
            val (blank, label) = listOf("blank", "label").map { name -> case.matrix(name).map { it.toDoubleArray() } }
            assertArrayEquals(case.shape("emitted"), transducerAlignment(blank, label))
        }
    }

    @Test
    fun `confidences are Python's`() {
        val case = vectors.at("confidences")
        val rows = case.matrix("log_probabilities").map { it.toDoubleArray() }
        val found = case.list("kinds").map {
            ConfidenceMeasure(it.string("measure"), it.string("over"), it.double("temperature")).of(rows, case.shape("tokens").toList())
        }
        assertClose(case.numbers("found"), found, 1e-4)
        assertThrows(InputError::class.java) { ConfidenceMeasure("none") }
    }

    @Test
    fun `words do not overlap and stay within the utterance`() {
        fun word(first: Double, last: Double) = AlignedWord("A", first, last, emptyList(), emptyList())
        val calibration = Calibration(startDelaySeconds = 0.2, endDelaySeconds = -0.1)
        val words = timed(listOf(word(0.1, 0.3), word(1.0, 1.2), word(1.3, 1.4)), calibration, 1.45)
        assertClose(listOf(0.0, 0.4, 0.8, 1.2, 1.2, 1.45), words.flatMap { listOf(it.startSeconds, it.endSeconds) }, 1e-9)
    }
}
