package tfliteasr.demo

import android.Manifest
import android.app.ActivityManager
import android.app.AlertDialog
import android.content.Context
import android.content.Intent
import android.os.BatteryManager
import android.os.Looper
import android.view.MotionEvent
import android.view.View
import android.widget.Button
import android.widget.RadioGroup
import android.widget.TextView
import java.io.File
import org.junit.After
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowDialog
import tfliteasr.android.SpeechEngine
import tfliteasr.audio.Sound
import tfliteasr.personalization.StopReason

/** The app on a phone that has a microphone, free memory and a charged battery; and what its owner does with it. */
@RunWith(RobolectricTestRunner::class)
abstract class ScreenTest {
    protected val application get() = RuntimeEnvironment.getApplication() as TestApplication
    protected val engine: SpeechEngine get() = application.engine
    protected lateinit var app: ActivityController<MainActivity>
    protected val activity: MainActivity get() = app.get()
    protected val stored: File get() = application.noBackupFilesDir

    @Before
    fun phone() {
        TestApplication.settings = TestApplication.QUICK
        shadowOf(application).grantPermissions(Manifest.permission.RECORD_AUDIO)
        memory(freeMb = 4000)
        battery(percent = 90)
        if (CALIBRATION.exists()) CALIBRATION.copyTo(stored.resolve(CALIBRATION.name), overwrite = true)
    }

    @After
    fun closed() {
        engine.stop(StopReason.Kind.ASKED)
        until("the training ends", seconds = 300) { !engine.state.running }
        application.restart()
        stored.resolve(CALIBRATION.name).let { if (it.exists() && !CALIBRATION.exists()) it.copyTo(CALIBRATION) }
    }

    protected fun memory(freeMb: Long) {
        val info = ActivityManager.MemoryInfo().apply { availMem = freeMb * 1_000_000 }
        shadowOf(application.getSystemService(ActivityManager::class.java)).setMemoryInfo(info)
    }

    @Suppress("DEPRECATION")
    protected fun battery(percent: Int, charging: Boolean = false, celsius: Int = 25) = application.sendStickyBroadcast(
        Intent(Intent.ACTION_BATTERY_CHANGED)
            .putExtra(BatteryManager.EXTRA_LEVEL, percent)
            .putExtra(BatteryManager.EXTRA_SCALE, 100)
            .putExtra(BatteryManager.EXTRA_PLUGGED, if (charging) BatteryManager.BATTERY_PLUGGED_AC else 0)
            .putExtra(BatteryManager.EXTRA_TEMPERATURE, 10 * celsius),
    )

    /** Open the app, and wait until its model is there. */
    protected fun open(tab: Int = R.id.tab_record) {
        app = Robolectric.buildActivity(MainActivity::class.java).setup()
        if (tab != R.id.tab_record) tab(tab)
        until("the model is loaded") { engine.config != null }
    }

    /** Open a screen, anew if it is the one that is seen. */
    protected fun tab(tab: Int) {
        val tabs = activity.findViewById<RadioGroup>(R.id.tabs)
        if (tabs.checkedRadioButtonId == tab) tabs.check(if (tab == R.id.tab_record) R.id.tab_data else R.id.tab_record)
        tabs.check(tab)
        idle()
    }

    protected fun idle() = shadowOf(Looper.getMainLooper()).idle()

    /** Let the app work until something holds. */
    protected fun until(what: String, seconds: Int = Integer.getInteger("until", 90), holds: () -> Boolean) {
        val end = System.nanoTime() + seconds * 1_000_000_000L
        while (true) {
            idle()
            if (holds()) return
            assertTrue("expected that $what within $seconds s", System.nanoTime() < end)
            Thread.sleep(2)
        }
    }

    protected fun <T : View> view(id: Int): T = activity.findViewById(id)

    protected fun text(id: Int): String = view<TextView>(id).text.toString()

    protected fun string(id: Int, vararg values: Any): String = application.getString(id, *values)

    protected fun isShown(id: Int): Boolean = view<View>(id).isShown

    protected fun press(id: Int) {
        val button = view<Button>(id)
        assertTrue("${button.text} can be pressed", button.isShown && button.isEnabled)
        button.performClick()
        idle()
    }

    protected fun touch(action: Int) {
        val event = MotionEvent.obtain(0, 0, action, 1f, 1f, 0)
        view<Button>(R.id.hold).dispatchTouchEvent(event)
        event.recycle()
        idle()
    }

    /** Hold the button while these samples are said. */
    protected fun say(samples: ShortArray) {
        val microphone = FakeMicrophone.says(samples)
        until("the button can be held") { view<View>(R.id.hold).isEnabled }
        touch(MotionEvent.ACTION_DOWN)
        until("all is recorded") { microphone.drained }
        touch(MotionEvent.ACTION_UP)
        until("the recording is over") { text(R.id.hold) != string(R.string.record_recording) }
    }

    /** Say a word on the screen Listen, and wait for what is heard. */
    protected fun listen(index: Int) = listen(Speech.samples(index))

    protected fun listen(samples: ShortArray) {
        val former = application.draft.listening
        say(samples)
        until("both are heard") { application.draft.listening.let { it !== former && it?.transcripts != null } }
    }

    /** As many recordings as training needs, each of another word. */
    protected fun keep(count: Int = 6) {
        var kept = 0
        for (index in 0 until count) engine.keep(Speech.sound(index), Speech.texts[index]) { if (it) kept++ }
        until("$count recordings are kept") { kept == count }
    }

    protected fun keep(sound: Sound, text: String) {
        var done = false
        engine.keep(sound, text) { done = it }
        until("it is kept") { done }
    }

    protected fun recordings(): Int {
        var found = -1
        engine.stored { found = it.recordings }
        until("recordings are counted") { found >= 0 }
        return found
    }

    /** Press Train now, and wait until it is over. */
    protected fun train() {
        begin()
        until("the training ends", seconds = 300) { !engine.state.running }
    }

    /** Press Train now, and wait for the first step. */
    protected fun begin(steps: Int = 1) {
        until("training can begin") { view<View>(R.id.start).isEnabled }
        press(R.id.start)
        until("$steps steps are taken") { engine.state.step >= steps || !engine.state.running }
    }

    protected fun dialog(): AlertDialog = (ShadowDialog.getLatestDialog() as AlertDialog).also { assertTrue(it.isShowing) }

    protected fun press(dialog: AlertDialog, button: Int) {
        dialog.getButton(button).performClick()
        idle()
    }

    private companion object {
        /** Measured by the first training of all tests, as a phone keeps it. */
        val CALIBRATION = File("target/calibration/calibration.json").also {
            it.parentFile.deleteRecursively()
            it.parentFile.mkdirs()
        }
    }
}
