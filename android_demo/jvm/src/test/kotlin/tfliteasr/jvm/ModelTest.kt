package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.saveCheckpoint

/** Damaged files and wrong inputs. */
class ModelTest {
    @TempDir
    lateinit var folder: File

    private fun copied(): File {
        for (name in listOf("commands.tflite", "commands.json")) {
            Shipped.tflite.resolveSibling(name).copyTo(folder.resolve(name), overwrite = true)
        }
        return folder.resolve("commands.tflite")
    }

    private fun told(problem: () -> Unit): String = assertThrows(InputError::class.java) { problem() }.message!!

    @Test
    fun `a damaged asset is told, whichever file and byte it is`() {
        val tflite = copied()
        tflite.writeBytes(tflite.readBytes().also { it[5000] = (it[5000] + 1).toByte() })
        assertTrue("not a pair or one is damaged" in told { Artifact.read(tflite) })
        copied().writeBytes(ByteArray(0))
        assertTrue("not a pair or one is damaged" in told { Artifact.read(tflite) })
        val json = copied().resolveSibling("commands.json")
        val text = json.readText()
        for (part in listOf(0, 1, text.length / 2, text.length - 3)) {
            json.writeText(text.take(part))
            assertTrue(told { Artifact.read(tflite) }.startsWith("$json: "))
        }
        json.writeText(text.replaceFirst(Regex("\"format\": \\d"), "\"format\": 3"))
        assertTrue("expected format 1 or 2, got 3; export the model again" in told { Artifact.read(tflite) })
        json.delete()
        assertTrue("expected its description commands.json beside it" in told { Artifact.read(tflite) })
        assertTrue("no such .tflite file" in told { Artifact.read(folder.resolve("none.tflite")) })
        val noModel = folder.resolve("text.tflite").apply { writeText("not a model") }
        assertTrue("the TFLite runtime cannot load it" in told { LiteRtModel(noModel) })
    }

    @Test
    fun `the checkpoint of another model changes nothing`() = Shipped.recognizer().use { recognizer ->
        val path = folder.resolve("c.safetensors")
        Artifact.read(Shipped.folder.resolve("early.tflite")).let { other ->
            Recognizer(other, LiteRtModel(other.path)).use { it.save(path) }
        }
        val before = recognizer.state().mapValues { it.value.bytes() }
        assertTrue("the checkpoint is of another model" in told { recognizer.restore(path) })
        saveCheckpoint(path, recognizer.state() - "step", recognizer.artifact.tfliteSha256, 1)
        assertTrue("lacks tensors (1): step" in told { recognizer.restore(path) })
        assertEquals(before, recognizer.state().mapValues { it.value.bytes() })
    }

    @Test
    fun `wrong inputs are told`() = Shipped.recognizer().use { recognizer ->
        assertTrue("no signature 'sideways'" in told { recognizer.model.run("sideways") })
        val frames = Tensor.floats(1, 600, 40)
        assertTrue("expected inputs [frame_lengths, frames]" in told { recognizer.model.run("infer", mapOf("frames" to frames)) })
        val wrong = mapOf("frames" to Tensor.floats(1, 600, 39), "frame_lengths" to Tensor.ints(1))
        val shape = told { recognizer.model.run("infer", wrong) }
        assertEquals("signature infer, input frames: expected float32 [1, 600, 40], got float32 [1, 600, 39]", shape)
        assertTrue("no plan named 'half'; there are: cached, split, train" in told { recognizer.plan("half") })
        assertTrue("no such layer group: [top]" in told { recognizer.checkGroups(mapOf("top" to 0f)) })
        assertTrue("expected at most 6.01 s, got 7.00 s" in told { recognizer.features(FloatArray(7 * 16000)) })
        for (token in listOf(0, -1, 29, 99)) {
            val spelled = Example(Frames(FloatArray(50 * 40), 40), intArrayOf(1, 2, token), "", "a.wav")
            val expected = "a.wav: expected tokens from 1 to 28, got $token at place 3"
            assertEquals(expected, told { recognizer.loss(listOf(spelled)) })
            assertEquals(expected, told { recognizer.trainStep(listOf(spelled)) })
        }
    }

    @Test
    fun `one value goes in without dimensions and with one, whichever the file has`() = Shipped.recognizer().use { recognizer ->
        val state = recognizer.state()
        for (step in listOf(Tensor.ints().put(0, intArrayOf(7)), Tensor.ints(1).put(0, intArrayOf(8)))) {
            recognizer.setState(state + ("step" to step))
            assertEquals(step.int(0), recognizer.state().getValue("step").int(0))
        }
        val two = told { recognizer.setState(state + ("step" to Tensor.ints(2))) }
        assertTrue("signature set_weights, input step: expected int32 [" in two && "got int32 [2]" in two)
    }
}
