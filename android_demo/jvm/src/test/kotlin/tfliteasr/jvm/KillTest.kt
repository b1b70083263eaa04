package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.personalization.CHECKPOINT
import tfliteasr.personalization.RoundsState
import tfliteasr.personalization.STATE

@Tag("slow")
class KillTest {
    @TempDir
    lateinit var folder: File

    @Test
    fun `training that is killed fifty times leaves a checkpoint that loads, and goes on from it`() {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val quick = listOf("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC") // for a short life
        val own = listOf("-cp", System.getProperty("java.class.path"), "tfliteasr.jvm.TrainForeverKt", folder.path)
        val steps = ArrayList<Int>()
        Shipped.recognizer().use { recognizer ->
            for (turn in 0 until KILLS) {
                val child = ProcessBuilder(listOf(java) + quick + own).redirectError(folder.resolve("errors")).start()
                // in its first epoch, or in its third, by when another checkpoint is there however slow the machine is
                repeat(if (turn % 2 == 0) 1 else 3) {
                    assertTrue(child.inputStream.read() == '.'.code, folder.resolve("errors").readText())
                }
                Thread.sleep(LONGEST_MILLIS * turn / KILLS)
                child.destroyForcibly().waitFor()
                steps.add(recognizer.restore(folder.resolve(CHECKPOINT)))
                RoundsState.read(folder.resolve(STATE))
            }
        }
        assertTrue(steps == steps.sorted() && steps.last() > 0, "it did not go on: $steps")
    }

    private companion object {
        const val KILLS = 50
        const val LONGEST_MILLIS = 900L
    }
}
