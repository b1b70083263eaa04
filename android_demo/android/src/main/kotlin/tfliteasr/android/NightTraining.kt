package tfliteasr.android

import android.app.job.JobParameters
import android.app.job.JobService
import tfliteasr.personalization.StopReason

/**
 * The night's training: goes on from the checkpoint, and leaves one when the phone is taken off the charger. The app's
 * `Application` is an [EngineOwner].
 */
class NightTraining : JobService() {
    private val engine get() = (application as EngineOwner).engine

    override fun onStartJob(parameters: JobParameters): Boolean {
        if (engine.state.running) return false // the owner's own training is enough for tonight
        engine.train(engine.limits.copy(onlyCharging = true)) { jobFinished(parameters, false) }
        return true // it goes on after this call
    }

    override fun onStopJob(parameters: JobParameters): Boolean {
        engine.stop(StopReason.Kind.NOT_CHARGING)
        return true // once more, when the phone is idle and charging again
    }
}
