package tfliteasr.android

import android.app.job.JobInfo
import android.app.job.JobScheduler
import android.content.ComponentName
import android.content.Context
import java.util.concurrent.TimeUnit

/** Training once a day, while the phone charges and nobody uses it. */
class NightSchedule(private val context: Context) {
    private val scheduler = context.getSystemService(JobScheduler::class.java)

    fun isOn(): Boolean = scheduler.getPendingJob(JOB) != null

    fun set(on: Boolean) {
        if (!on) return scheduler.cancel(JOB)
        scheduler.schedule(
            JobInfo.Builder(JOB, ComponentName(context, NightTraining::class.java))
                .setPeriodic(TimeUnit.HOURS.toMillis(24))
                .setRequiresCharging(true)
                .setRequiresDeviceIdle(true)
                .setPersisted(true)
                .build(),
        )
    }

    private companion object {
        const val JOB = 1
    }
}
