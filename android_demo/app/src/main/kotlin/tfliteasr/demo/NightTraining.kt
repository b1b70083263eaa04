package tfliteasr.demo

import android.app.job.JobParameters
import android.app.job.JobService
import tfliteasr.personalization.StopReason

/** The night's training: goes on from the checkpoint, and leaves one when the phone is taken off the charger. */
class NightTraining : JobService() {
    private val engine get() = (application as DemoApplication).engine

    override fun onStartJob(parameters: JobParameters): Boolean {
        engine.train(Engine.LIMITS.copy(onlyCharging = true)) { jobFinished(parameters, false) }
        return true // it goes on after this call
    }

    override fun onStopJob(parameters: JobParameters): Boolean {
        engine.stop(StopReason.Kind.NOT_CHARGING)
        return true // once more, when the phone is idle and charging again
    }
}
