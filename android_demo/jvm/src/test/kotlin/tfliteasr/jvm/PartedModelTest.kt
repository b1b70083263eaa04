package tfliteasr.jvm

import java.io.File
import java.nio.file.Files
import java.security.MessageDigest
import kotlin.random.Random
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.DType
import tfliteasr.runtime.PartedModel
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.filePart
import tfliteasr.runtime.modelOf
import tfliteasr.runtime.partsOf

/** A file with several lengths is loaded in parts, which together behave as one interpreter of the whole file. */
class PartedModelTest {
    private val path = Shipped.folder.resolve("second.tflite")
    private val artifact = Artifact.read(path)
    private val opened = ArrayList<Set<String>?>()

    private fun parted(artifact: Artifact = this.artifact) = modelOf(artifact) {
        opened.add(it)
        LiteRtModel(artifact.path, signatures = it)
    }

    @Test
    fun `parts have the signatures and the bytes of Python's, and the file stays as it is`() {
        val before = path.readBytes()
        val expected = Shipped.vectors("parts").list("parts").associate { it.strings("signatures") to it.string("sha256") }
        val found = partsOf(artifact).associate { part ->
            val content = filePart(path, part)!!
            val bytes = ByteArray(content.capacity()).also { content.duplicate().get(it) }
            part.sorted() to MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { "%02x".format(it) }
        }
        assertEquals(expected, found)
        assertTrue(before.contentEquals(path.readBytes()))
    }

    @ParameterizedTest
    @ValueSource(ints = [0, 1, 2])
    fun `any calls are answered as by the whole file`(seed: Int) {
        val random = Random(seed)
        val names = artifact.signatures.keys.sorted() - "rescore"
        LiteRtModel(path).use { whole ->
            parted().use { parted ->
                for (name in List(14) { names.random(random) } + "get_weights") {
                    val inputs = inputs(name, random)
                    val (expected, found) = whole.run(name, inputs) to parted.run(name, inputs)
                    assertEquals(expected.keys, found.keys)
                    for ((key, tensor) in found) assertEquals(expected.getValue(key).data.rewind(), tensor.data.rewind(), "$name: $key")
                }
            }
        }
    }

    @Test
    fun `recognising loads nothing of training, and only one length`() {
        Recognizer(artifact, parted()).use { recognizer ->
            recognizer.transcribe(FloatArray(4_000) { 0.01f * (it % 50) })
            val part = opened.single()!!
            assertFalse(part.any { it.startsWith("train") || it.startsWith("loss") || it == "encode" })
            val told = assertThrows(InputError::class.java) { recognizer.model.run("inference") }
            assertTrue("no signature inference" in told.message!!)
        }
    }

    @Test
    fun `a file with one length is one interpreter`() {
        Artifact.read(Shipped.tflite).let { parted(it) }.use { assertEquals(listOf(null), opened) }
    }

    @Test
    fun `a file that was exchanged is not mixed with the former one`(@TempDir folder: File) {
        val copy = folder.resolve("second.tflite")
        path.copyTo(copy)
        path.resolveSibling("second.json").copyTo(folder.resolve("second.json"))
        val artifact = Artifact.read(copy)
        PartedModel(artifact, partsOf(artifact)) { LiteRtModel(copy, signatures = it) }.use { model ->
            model.run("get_weights")
            Files.write(copy.toPath(), copy.readBytes() + 0)
            val told = assertThrows(InputError::class.java) { model.run("train", inputs("train", Random(0))) }
            assertTrue("has changed since it was loaded" in told.message!!)
        }
    }

    private fun inputs(name: String, random: Random): Map<String, Tensor> {
        if (name == "set_weights") return LiteRtModel(path).use { it.run("get_weights") }
        val fixed = mapOf("learning_rate" to 0.1f, "clip_norm" to 1f, "group_rates" to 1f, "pull" to 0f)
        return artifact.signature(name).inputs.associate { spec ->
            val tensor = Tensor(spec.dtype, spec.shape.toIntArray())
            if (spec.dtype == DType.INT32) {
                tensor.put(0, IntArray(tensor.elements) { if (spec.name == "frame_lengths") 12 else random.nextInt(3, 5) })
            } else {
                tensor.put(0, FloatArray(tensor.elements) { fixed[spec.name] ?: (random.nextFloat() - 0.5f) })
            }
            spec.name to tensor
        }
    }
}
