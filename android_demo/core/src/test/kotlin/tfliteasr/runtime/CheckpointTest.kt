package tfliteasr.runtime

import java.io.File
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.fillStorage

/** A file that the Python side wrote (vectors/make_vectors.py), read, written again and damaged. */
class CheckpointTest {
    @TempDir
    lateinit var folder: File

    private val golden = File("../vectors/checkpoint.safetensors")
    private val artifact = "ab".repeat(32)
    private val expected = listOf(
        TensorSpec("kernel", listOf(5, 7), DType.FLOAT32),
        TensorSpec("bias", listOf(7), DType.FLOAT32),
        TensorSpec("Zero/edge", listOf(4), DType.FLOAT32),
        TensorSpec("step", emptyList(), DType.INT32),
        TensorSpec("frozen", listOf(3, 2, 2), DType.INT8),
    )
    private val voice = listOf(
        TensorSpec(OWNER_MEANS, listOf(4, 3), DType.FLOAT32),
        TensorSpec(OWNER_THRESHOLD, emptyList(), DType.FLOAT32),
    )

    @Test
    fun `what Python wrote is read and written again with the same digest`() {
        val checkpoint = loadCheckpoint(golden, artifact, expected, voice)
        assertEquals(41, checkpoint.step)
        assertArrayEquals(floatArrayOf(0f, -0f, 1e-38f, 3e38f), checkpoint.tensors.getValue("Zero/edge").floats())
        val copy = folder.resolve("copy.safetensors")
        saveCheckpoint(copy, checkpoint.tensors, artifact, checkpoint.step)
        assertEquals(Safetensors.read(golden).metadata, Safetensors.read(copy).metadata)
        val (before, after) = Safetensors.read(golden).tensors to Safetensors.read(copy).tensors
        assertEquals(before.keys, after.keys)
        for ((name, tensor) in before) assertEquals(tensor.bytes(), after.getValue(name).bytes(), name)
        assertEquals(listOf("copy.safetensors"), folder.list()!!.toList())
    }

    @Test
    fun `no byte can change unseen`() {
        val bytes = golden.readBytes()
        val path = folder.resolve("damaged.safetensors")
        for (at in bytes.indices) {
            val damaged = bytes.copyOf().also { it[at] = (it[at].toInt() xor 4).toByte() }
            path.writeBytes(damaged)
            val error = runCatching { loadCheckpoint(path, artifact, expected, voice) }.exceptionOrNull()
            assertTrue(error is InputError, "byte $at changed, got $error")
            assertTrue(error!!.message!!.startsWith("$path: "), error.message)
        }
    }

    @Test
    fun `no cut goes unseen`() {
        val bytes = golden.readBytes()
        val path = folder.resolve("cut.safetensors")
        for (size in bytes.indices) {
            path.writeBytes(bytes.copyOf(size))
            assertThrows(InputError::class.java) { loadCheckpoint(path, artifact, expected, voice) }
        }
    }

    @Test
    fun `the checkpoint of another model is refused`() {
        val other = assertThrows(InputError::class.java) { loadCheckpoint(golden, "cd".repeat(32), expected, voice) }
        assertTrue(other.message!!.contains("of another model: expected cdcdcdcdcdcd, got abababababab"))
        assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, expected.drop(1), voice) }
        val more = expected + TensorSpec("more", emptyList(), DType.INT32)
        assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, more, voice) }
        val reshaped = expected.map { if (it.name == "kernel") it.copy(shape = listOf(7, 5)) else it }
        val wrong = assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, reshaped, voice) }
        assertTrue(wrong.message!!.endsWith("expected kernel to be float32 [7, 5], got float32 [5, 7]"))
    }

    @Test
    fun `an owner's voice may be there, of the right shape, where the model can compare it`() {
        assertEquals(0.0625f, loadCheckpoint(golden, artifact, expected, voice).tensors.getValue(OWNER_THRESHOLD).float(0))
        val without = folder.resolve("without.safetensors")
        saveCheckpoint(without, loadCheckpoint(golden, artifact, expected, voice).tensors - voice.map { it.name }.toSet(), artifact, 41)
        assertEquals(expected.map { it.name }.toSet(), loadCheckpoint(without, artifact, expected, voice).tensors.keys)
        val unknown = assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, expected) }
        assertTrue(unknown.message!!.endsWith("has unexpected tensors (2): $OWNER_MEANS, $OWNER_THRESHOLD"), unknown.message)
        val wider = voice.map { if (it.name == OWNER_MEANS) it.copy(shape = listOf(4, 4)) else it }
        val shape = assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, expected, wider) }
        assertTrue(shape.message!!.endsWith("expected $OWNER_MEANS to be float32 [4, 4], got float32 [4, 3]"), shape.message)
    }

    @Test
    fun `weights that are not finite are not saved over good ones`() {
        val path = folder.resolve("c.safetensors")
        saveCheckpoint(path, mapOf("w" to Tensor.scalar(1f)), artifact, 1)
        assertThrows(InputError::class.java) { saveCheckpoint(path, mapOf("w" to Tensor.scalar(Float.NaN)), artifact, 2) }
        assertEquals(1, loadCheckpoint(path, artifact, listOf(TensorSpec("w", emptyList(), DType.FLOAT32))).step)
        assertFalse(folder.resolve(".c.safetensors.tmp").exists())
    }

    @Test
    fun `a full storage is told, and the former checkpoint stays`() {
        val path = folder.resolve("c.safetensors")
        saveCheckpoint(path, mapOf("w" to Tensor.scalar(1f)), artifact, 1)
        fillStorage(folder.resolve(".c.safetensors.tmp"))
        val error = assertThrows(StorageError::class.java) { saveCheckpoint(path, mapOf("w" to Tensor.scalar(2f)), artifact, 2) }
        assertEquals("$path: could not save the checkpoint (No space left on device); what was there before is as it was", error.message)
        assertEquals(1, loadCheckpoint(path, artifact, listOf(TensorSpec("w", emptyList(), DType.FLOAT32))).step)
        assertEquals(listOf("c.safetensors"), folder.list()!!.toList())
    }

    @Test
    fun `a process killed while it saves leaves a whole checkpoint`() {
        val path = folder.resolve("killed.safetensors")
        val steps = (1..10).map { turn ->
            val java = File(System.getProperty("java.home"), "bin/java").path
            val command = listOf(java, "-cp", System.getProperty("java.class.path"), "tfliteasr.runtime.SaveForeverKt", path.path)
            val child = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
            child.inputStream.read() // it has saved once
            Thread.sleep(7L * turn)
            child.destroyForcibly().waitFor()
            loadCheckpoint(path, artifact, SAVED).step
        }
        assertTrue(steps.max() > 1, "it was always killed at the first step: $steps")
    }
}
