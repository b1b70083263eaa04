package tfliteasr.jvm

import java.io.File
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject
import tfliteasr.personalization.Calibration
import tfliteasr.personalization.PlanCost
import tfliteasr.personalization.calibrated
import tfliteasr.personalization.measureCalls
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.modelOf

private const val THREADS = 1

// glibc otherwise keeps what a call freed, and the memory of a finished call would still count
private val GIVE_BACK = mapOf("MALLOC_MMAP_THRESHOLD_" to "1048576", "MALLOC_TRIM_THRESHOLD_" to "1048576")
private val SMALL_HEAP = listOf("-Xmx256m", "-XX:+UseSerialGC")

/** The calibration of an artifact on this machine, kept in the user's cache; measured, each plan in a process of its own, if need be. */
fun calibrationOf(artifact: Artifact): Calibration {
    val cache = System.getenv("XDG_CACHE_HOME")?.let(::File) ?: File(System.getProperty("user.home"), ".cache")
    val folder = cache.resolve("tflite_asr").apply { mkdirs() }
    val path = folder.resolve("${artifact.name}-${artifact.tfliteSha256.take(12)}-jvm.calibration.json")
    return calibrated(artifact, path, thisDevice(), { System.err.println("notice: $it") }) { plan -> measured(artifact, plan) }
}

/** What a calibration holds for. */
private fun thisDevice(): Map<String, String> = mapOf(
    "machine" to "${System.getProperty("os.name")} ${System.getProperty("os.arch")}",
    "cores" to Runtime.getRuntime().availableProcessors().toString(),
    "runtime" to "org.bytedeco tensorflow-lite",
    "threads" to THREADS.toString(),
)

private fun measured(artifact: Artifact, plan: String): PlanCost {
    val java = File(System.getProperty("java.home"), "bin/java").path
    val own = listOf("-cp", System.getProperty("java.class.path"), "tfliteasr.jvm.CalibrationRunKt", artifact.path.path, plan)
    val builder = ProcessBuilder(listOf(java) + SMALL_HEAP + own).redirectError(ProcessBuilder.Redirect.INHERIT)
    builder.environment().putAll(GIVE_BACK)
    val process = builder.start()
    val out = process.inputStream.bufferedReader().readText()
    if (process.waitFor() != 0) throw InputError("${artifact.path}, plan $plan: could not be measured")
    return Calibration.fromJson(JsonObject.parse(out, "calibration")).plans.getValue(plan)
}

/** Measures one plan of one artifact in the process that runs this: MODEL PLAN. Prints a calibration of that plan alone. */
fun main(arguments: Array<String>) {
    val (model, plan) = arguments
    val artifact = Artifact.read(File(model))
    val cost = measureCalls(artifact, plan, modelOf(artifact) { LiteRtModel(artifact.path, THREADS, it) })
    println(Json.write(Calibration(artifact.tfliteSha256, thisDevice(), mapOf(plan to cost)).toJson()))
}
