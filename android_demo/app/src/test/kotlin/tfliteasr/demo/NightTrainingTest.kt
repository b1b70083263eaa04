package tfliteasr.demo

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.widget.Switch
import java.util.concurrent.TimeUnit
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.shadow.api.Shadow
import tfliteasr.android.NightTraining
import tfliteasr.personalization.StopReason

/** The night's training as the system runs it: a job with its constraints, begun, stopped and begun again. */
class NightTrainingTest : ScreenTest() {
    private val job: JobInfo? get() = application.getSystemService(JobScheduler::class.java).allPendingJobs.singleOrNull()
    private val parameters = Shadow.newInstanceOf(JobParameters::class.java)

    private fun service(): NightTraining = Robolectric.buildService(NightTraining::class.java).create().get()

    private fun switch() = view<Switch>(R.id.night)

    private fun isFinished(service: NightTraining) = shadowOf(service).isJobFinished

    @Test
    fun `it is planned for a phone that charges and that nobody uses, and outlives a restart`() {
        open(R.id.tab_train)
        assertNull(job)
        switch().performClick()
        val planned = job!!
        assertTrue(planned.isRequireCharging && planned.isRequireDeviceIdle && planned.isPersisted)
        assertEquals(TimeUnit.HOURS.toMillis(24), planned.intervalMillis)
        assertEquals(NightTraining::class.java.name, planned.service.className)
    }

    @Test
    fun `the switch shows what is planned, and takes it back`() {
        open(R.id.tab_train)
        switch().performClick()
        app.recreate()
        assertTrue(switch().isChecked)
        switch().performClick()
        assertNull(job)
    }

    @Test
    fun `the service may be started by the system alone`() {
        val info = application.packageManager.getServiceInfo(
            android.content.ComponentName(application, NightTraining::class.java), 0,
        )
        assertEquals("android.permission.BIND_JOB_SERVICE", info.permission)
        assertFalse(info.exported)
    }

    @Test
    fun `the job trains and tells when it is done`() {
        battery(percent = 50, charging = true)
        keep()
        val service = service()
        assertTrue(service.onStartJob(parameters))
        until("the job is done") { isFinished(service) }
        assertEquals(StopReason.Kind.ROUNDS_DONE, engine.state.stopped)
        assertEquals(2, engine.state.history.last().epoch)
    }

    @Test
    fun `told to stop it does within a second, is to be run again, and then goes on`() {
        TestApplication.settings = TestApplication.ENDLESS.copy(epochSteps = 4)
        battery(percent = 50, charging = true)
        keep()
        val service = service()
        service.onStartJob(parameters)
        until("an epoch is trained") { engine.state.history.size > 1 }
        val begun = System.nanoTime()
        until("another one is trained") { engine.state.history.size > 2 }
        val epochSeconds = (System.nanoTime() - begun) / 1e9
        val told = System.nanoTime()
        assertTrue("it is to be run again", service.onStopJob(parameters))
        until("it stops") { !engine.state.running }
        val seconds = (System.nanoTime() - told) / 1e9
        // a machine on which an epoch of four steps takes longer than that is busy with something else
        assertTrue("stopped after $seconds s, an epoch takes $epochSeconds s", seconds < maxOf(1.0, epochSeconds))
        assertEquals(StopReason.Kind.NOT_CHARGING, engine.state.stopped)
        val before = engine.state.history.last().epoch
        application.restart()
        service().onStartJob(parameters)
        until("an epoch more is trained") { engine.state.history.size > 1 }
        assertEquals(before + 1, engine.state.history.last().epoch)
    }

    @Test
    fun `a charger that is taken off stops it`() {
        TestApplication.settings = TestApplication.ENDLESS
        battery(percent = 50, charging = true)
        keep()
        val service = service()
        service.onStartJob(parameters)
        until("a step is taken") { engine.state.step > 0 }
        battery(percent = 50, charging = false)
        until("the job is done") { isFinished(service) }
        assertEquals(StopReason.Kind.NOT_CHARGING, engine.state.stopped)
    }

    @Test
    fun `a job that is stopped at once trains nothing and fails nothing`() {
        battery(percent = 50, charging = true)
        keep()
        val service = service()
        service.onStartJob(parameters)
        service.onStopJob(parameters)
        until("the job is done") { isFinished(service) }
        assertEquals(0, engine.state.step)
        assertNull(engine.state.problem)
    }

    @Test
    fun `with nothing recorded the job is done at once`() {
        battery(percent = 50, charging = true)
        val service = service()
        service.onStartJob(parameters)
        until("the job is done") { isFinished(service) }
        assertNull(engine.state.problem)
    }

    @Test
    fun `while its owner trains, the job leaves it alone`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        assertFalse(service().onStartJob(parameters))
        assertTrue(engine.state.running)
    }
}
