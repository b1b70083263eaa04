package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.personalization.CHECKPOINT
import tfliteasr.personalization.RoundsState
import tfliteasr.personalization.STATE

class KillTest {
    @TempDir
    lateinit var folder: File

    @Test
    fun `training that is killed again and again leaves a checkpoint that loads, and goes on from it`() {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val quick = listOf("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC") // for a short life
        val own = listOf("-cp", System.getProperty("java.class.path"), "tfliteasr.jvm.TrainForeverKt", folder.path)
        val steps = ArrayList<Int>()
        Shipped.recognizer().use { recognizer ->
            for (turn in 0 until kills) {
                val child = ProcessBuilder(listOf(java) + quick + own).redirectError(folder.resolve("errors")).start()
                val begun = child.inputStream.read()
                assertTrue(begun == '.'.code, folder.resolve("errors").readText())
                Thread.sleep(LONGEST_MILLIS * turn / kills)
                child.destroyForcibly().waitFor()
                steps.add(recognizer.restore(folder.resolve(CHECKPOINT)))
                RoundsState.read(folder.resolve(STATE))
            }
        }
        assertTrue(steps == steps.sorted() && steps.last() > 0, "it did not go on: $steps")
    }

    private companion object {
        /** As many in `make android`; in the tests of every change a few. */
        val kills = System.getenv("KILLS")?.toInt() ?: 8
        const val LONGEST_MILLIS = 900L
    }
}
