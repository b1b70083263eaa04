package tfliteasr.jvm

import java.io.File
import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.personalization.CachedBatches
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.CACHED
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer

/** Training from stored outputs of the lower groups, as vectors/of_cached.py does it on the Python side. */
class CachedTest {
    private val vectors = Shipped.vectors("cached")
    private val parity = Shipped.vectors("parity")
    private val rates = vectors.at("group_rates").let { rates -> rates.names.associateWith { rates.double(it).toFloat() } }

    private fun examples(recognizer: Recognizer): List<Example> {
        val replay = readReplay(recognizer.artifact)
        val shift = parity.int("shift")
        return replay.mapIndexed { index, it -> Example(it.frames, replay[(index + shift) % replay.size].tokens, it.text) }
    }

    @ParameterizedTest
    @ValueSource(ints = [8, 32])
    fun `steps have the same losses and end at the same weights`(bits: Int, @TempDir folder: Path) = Shipped.recognizer().use { recognizer ->
        val expected = vectors.at("bits").at("$bits")
        val all = examples(recognizer)
        val batches = parity.matrix("batches").map { batch -> batch.map { it.toInt() } }
        val used = batches.flatten().distinct().sorted()
        val files = folder.resolve("cached").toFile()
        val rows = used.zip(recognizer.cache(used.map(all::get), bits, if (bits == 8) files else null)).toMap()
        assertEquals(if (bits == 8) used.size else 0, files.listFiles().orEmpty().size)
        val stored = rows.values.sumOf { it.bytes }
        val values = expected.double("values") * bits / 8
        assertTrue(stored > values && stored < 1.2 * values) { "$stored bytes for $values" }
        val results = List(vectors.int("steps")) { step ->
            val batch = batches[step % batches.size].map(rows::getValue)
            val (clip, pull) = parity.double("clip_norm").toFloat() to parity.double("pull").toFloat()
            recognizer.trainStep(batch, parity.double("learning_rate").toFloat(), clip, pull, rates, CACHED)
        }
        assertClose(expected.numbers("train_losses"), results.map { it.loss.toDouble() }, 1e-4)
        assertClose(expected.numbers("gradient_norms"), results.map { it.gradientNorm.toDouble() }, 1e-3)
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        assertClose(recognizer.groups.map { expected.at("distances").double(it) }, distances.map { it.toDouble() }, 1e-4)
        assertTrue(recognizer.groups.zip(distances.asList()).all { (group, moved) -> (moved > 0) == (group in recognizer.plan(CACHED).trained) })
    }

    @Test
    fun `what cannot be trained so is refused`(@TempDir folder: Path) = Shipped.recognizer().use { recognizer ->
        val examples = examples(recognizer).take(2)
        val cached = recognizer.cache(examples, folder = folder.toFile())
        fun told(run: () -> Unit) = assertThrows(InputError::class.java) { run() }.message!!
        val rated = told { recognizer.trainStep(cached, groupRates = mapOf("encoder_0" to 0.5f), plan = CACHED) }
        assertTrue(rated.startsWith("plan 'cached' does not train encoder_0: what they put out is stored"), rated)
        val split = told { recognizer.trainStep(cached, plan = "split") }
        assertEquals("plan 'split': expected plan 'cached' for cached utterances, 2 of 2 are cached", split)
        val mixed = told { recognizer.trainStep(listOf(cached[0], examples[1]), plan = CACHED) }
        assertEquals("plan 'cached': expected utterances that are all cached, 1 of 2 are cached", mixed)
        assertEquals("cached activations: expected 8 or 32 bits, got 16", told { recognizer.cache(examples, bits = 16) })
        File(folder.toFile(), "00000001.safetensors").writeText("not this")
        val damaged = told { recognizer.trainStep(cached, plan = CACHED) }
        assertTrue("stored activations are not there or damaged" in damaged, damaged)
    }

    @Test
    fun `a version goes through the lower groups once, and its files are gone afterwards`() = Shipped.recognizer().use { recognizer ->
        val examples = examples(recognizer).take(3)
        var made = 0
        val folder = CachedBatches(recognizer).use { cached ->
            val first = cached.rows("own" to 0) { examples.also { made++ } }
            assertTrue(first === cached.rows("own" to 0) { examples.also { made++ } })
            cached.rows("own" to 1) { examples.also { made++ } }
            assertEquals(2, made)
            assertEquals(2 * first.sumOf { it.bytes }, cached.bytes)
            cached.folder.also { assertEquals(6, it.listFiles()!!.size) }
        }
        assertTrue(!folder.exists())
    }
}
