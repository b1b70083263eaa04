package tfliteasr.android

import android.content.Context
import android.os.Build
import android.util.Log
import tfliteasr.personalization.Calibration
import tfliteasr.personalization.calibrated
import tfliteasr.personalization.measureCalls
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.modelOf

/** What training costs on this phone, measured once; in the app's own process, so no other interpreter should be open. */
class DeviceCalibration(context: Context, private val runtime: ModelRuntime, private val threads: Int) {
    private val path = context.noBackupFilesDir.resolve("calibration.json")

    /** @param onMeasure told when it has to be measured, which takes some steps of training. */
    fun of(artifact: Artifact, onMeasure: () -> Unit): Calibration {
        val device = mapOf(
            "model" to Build.MODEL,
            "android" to Build.VERSION.SDK_INT.toString(),
            "runtime" to runtime.version,
            "threads" to threads.toString(),
        )
        val notice = { line: String ->
            Log.i("Calibration", line)
            onMeasure()
        }
        val opened = { modelOf(artifact) { runtime.open(artifact.path, threads, it) } }
        return calibrated(artifact, path, device, notice) { measureCalls(artifact, it, opened()) }
    }
}
