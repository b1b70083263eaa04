package tfliteasr.personalization

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.runtime.Artifact
import tfliteasr.vectors

class CalibrationTest {
    @TempDir
    lateinit var folder: File

    private val artifact = Artifact.fromJson(vectors("selector").list("artifacts")[0].at("artifact"), File("none.tflite"))
    private val phone = mapOf("machine" to "a phone", "threads" to "2")
    private val notices = ArrayList<String>()
    private val measured = ArrayList<String>()

    private fun cost(plan: String) = PlanCost(40.0, artifact.plans.getValue(plan).calls.map { CallCost(it.signature, 0.5, 0.75, 9.0, 4.0) })

    private fun calibrated(path: File, device: Map<String, String> = phone) =
        calibrated(artifact, path, device, notices::add) { plan -> cost(plan).also { measured.add(plan) } }

    @Test
    fun `each plan is measured once and kept`() {
        val path = folder.resolve("c.json")
        val first = calibrated(path)
        assertEquals(listOf("train", "split"), measured)
        val (split, cached) = first.plans.getValue("split").calls to first.plans.getValue("cached").calls
        assertEquals(listOf("forward_0", "head"), cached.map { it.signature })
        assertEquals(split[0].copy(seconds = 0.2 * 0.5, cpuSeconds = 0.2 * 0.75), cached[0], "of stored outputs a step takes a fifth")
        assertEquals(split[1], cached[1])
        assertTrue("none yet; measuring this device" in notices.single())
        val second = calibrated(path)
        assertEquals(2, measured.size)
        assertEquals(first.plans, second.plans)
        assertEquals(first.toJson(), Calibration.fromJson(JsonObject.parse(Json.write(first.toJson()), "")).toJson())
    }

    @Test
    fun `it is measured again for another device, another artifact, other plans and after damage`() {
        val path = folder.resolve("c.json")
        val good = calibrated(path).toJson()
        fun again(change: () -> Unit): String {
            change()
            notices.clear()
            calibrated(path)
            return notices.single()
        }
        fun write(values: Map<String, Any>) = path.writeText(Json.write(values))
        assertTrue("of another machine or runtime (machine null, here a phone)" in again { write(good + ("device" to mapOf("threads" to "2"))) })
        assertTrue("of another artifact (abab" in again { write(good + ("artifact_sha256" to "ab".repeat(32))) })
        val plans = (good["plans"] as Map<*, *>) - "split"
        assertTrue("without the plan split as it is now" in again { write(good + ("plans" to plans)) })
        assertTrue("not readable" in again { path.writeText("{") })
        assertTrue("not readable (c.json" !in again { write(good + ("format" to 2)) } && notices.single().contains("expected format 1, got 2"))
    }

    @Test
    fun `a calibration that cannot be kept is used all the same`() {
        assertEquals(3, calibrated(folder.resolve("no folder/c.json")).plans.size)
        assertTrue("could not be kept" in notices.last())
    }

    @Test
    fun `the peak is that of steps that are repeated`() {
        // against memory that is followed call by call: a call has its arena from its first time on
        val (arenas, extra) = listOf(4, 7, 3) to listOf(20, 2, 9)
        val calls = arenas.indices.map { index ->
            val kept = arenas.take(index + 1).sum().toDouble()
            CallCost("c$index", 1.0, 1.0, kept + extra[index], kept)
        }
        for (count in 1..3) {
            val there = IntArray(count)
            var peak = 0
            repeat(4) { for (call in 0 until count) there[call] = arenas[call].also { peak = maxOf(peak, there.sum() - there[call] + it + extra[call]) } }
            assertEquals(30.0 + peak, PlanCost(30.0, calls).peakMb(count))
        }
    }
}
