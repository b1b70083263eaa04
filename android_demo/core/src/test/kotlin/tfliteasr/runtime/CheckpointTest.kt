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

    @Test
    fun `what Python wrote is read and written again with the same digest`() {
        val checkpoint = loadCheckpoint(golden, artifact, expected)
        assertEquals(41, checkpoint.step)
        assertArrayEquals(floatArrayOf(0f, -0f, 1e-38f, 3e38f), checkpoint.tensors.getValue("Zero/edge").floats())
        val copy = folder.resolve("copy.safetensors")
        saveCheckpoint(copy, checkpoint.tensors, artifact, checkpoint.step)
        assertEquals(Safetensors.read(golden).metadata, Safetensors.read(copy).metadata)
        assertEquals(listOf("copy.safetensors"), folder.list()!!.toList())
    }

    @Test
    fun `no byte can change unseen`() {
        val bytes = golden.readBytes()
        val path = folder.resolve("damaged.safetensors")
        for (at in bytes.indices) {
            val damaged = bytes.copyOf().also { it[at] = (it[at].toInt() xor 4).toByte() }
            path.writeBytes(damaged)
            val error = runCatching { loadCheckpoint(path, artifact, expected) }.exceptionOrNull()
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
            assertThrows(InputError::class.java) { loadCheckpoint(path, artifact, expected) }
        }
    }

    @Test
    fun `the checkpoint of another model is refused`() {
        val other = assertThrows(InputError::class.java) { loadCheckpoint(golden, "cd".repeat(32), expected) }
        assertTrue(other.message!!.contains("of another model: expected cdcdcdcdcdcd, got abababababab"))
        assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, expected.drop(1)) }
        val more = expected + TensorSpec("more", emptyList(), DType.INT32)
        assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, more) }
        val reshaped = expected.map { if (it.name == "kernel") it.copy(shape = listOf(7, 5)) else it }
        val wrong = assertThrows(InputError::class.java) { loadCheckpoint(golden, artifact, reshaped) }
        assertTrue(wrong.message!!.endsWith("expected kernel to be float32 [7, 5], got float32 [5, 7]"))
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
