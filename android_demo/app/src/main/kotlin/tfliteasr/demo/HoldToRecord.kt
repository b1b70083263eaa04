package tfliteasr.demo

import android.view.MotionEvent
import android.view.View
import android.view.accessibility.AccessibilityManager
import android.widget.Button
import android.widget.ProgressBar
import android.widget.TextView
import tfliteasr.android.Microphone
import tfliteasr.audio.RecordingCheck
import tfliteasr.audio.Sound

/**
 * A button that records while it is held; with a screen reader a double tap starts and another one stops. It says what is
 * wrong with a recording, and asks for the microphone when it is needed first.
 *
 * @param onGood told a recording that can be used.
 * @param onBegin a recording begins; what it returns is told the samples as they come, on the microphone's thread.
 */
class HoldToRecord(
    private val activity: MainActivity,
    view: View,
    private val label: Int,
    private val onGood: (Sound) -> Unit,
    private val onBegin: () -> (FloatArray) -> Unit = { {} },
) {
    private val button = view.findViewById<Button>(R.id.hold)
    private val level = view.findViewById<ProgressBar>(R.id.level)
    private val message = view.findViewById<TextView>(R.id.message)
    private val allow = view.findViewById<Button>(R.id.allow)
    private val readers = activity.getSystemService(AccessibilityManager::class.java)
    private var microphone: Microphone? = null
    private var asking = false // the message is about the permission

    init {
        allow.setOnClickListener { activity.askForMicrophone() }
        button.setOnClickListener { if (readers.isTouchExplorationEnabled) toggle() }
        button.setOnTouchListener { pressed, event -> !readers.isTouchExplorationEnabled && touched(pressed, event) }
        update()
    }

    /** Show whether it can record. */
    fun update() {
        val permitted = activity.mayRecord()
        allow.visibility = if (permitted) View.GONE else View.VISIBLE
        button.isEnabled = permitted && activity.engine.config != null
        if (!permitted) say(if (activity.draft.refused) R.string.record_permission_refused else R.string.record_permission)
        if (permitted && asking) say(null)
        asking = !permitted
        labelled()
    }

    fun say(text: Int?) {
        message.text = if (text == null) "" else activity.getString(text)
    }

    fun stop() {
        microphone?.stop()
    }

    private fun touched(pressed: View, event: MotionEvent): Boolean {
        when (event.actionMasked) {
            MotionEvent.ACTION_DOWN -> start().also { pressed.isPressed = true }
            MotionEvent.ACTION_UP, MotionEvent.ACTION_CANCEL -> stop().also { pressed.isPressed = false }
            else -> return false
        }
        return true
    }

    private fun toggle() = if (microphone == null) start() else stop()

    private fun start() {
        val config = activity.engine.config ?: return
        if (microphone != null || !button.isEnabled) return
        say(null)
        val onLevel = { peak: Float -> level.progress = (100 * peak).toInt() }
        microphone = Microphone(config.features.sampleRate, config.maxSeconds, onBegin(), onLevel) { sound ->
            microphone = null
            labelled()
            if (sound == null) say(R.string.record_microphone_busy) else judge(sound, config.maxSeconds)
        }.also { it.start() }
        labelled()
    }

    private fun judge(sound: Sound, maxSeconds: Double) = when (RecordingCheck.of(sound, maxSeconds)) {
        RecordingCheck.GOOD -> onGood(sound)
        RecordingCheck.TOO_SHORT -> say(R.string.record_too_short)
        RecordingCheck.TOO_LONG -> say(R.string.record_too_long)
        RecordingCheck.SILENT -> say(R.string.record_silent)
        RecordingCheck.TOO_LOUD -> say(R.string.record_too_loud)
    }

    private fun labelled() {
        val recording = microphone != null
        button.setText(if (recording) R.string.record_recording else label)
        button.contentDescription = when {
            !readers.isTouchExplorationEnabled -> null
            recording -> activity.getString(R.string.record_tap_to_stop)
            else -> activity.getString(R.string.record_tap_to_start)
        }
    }
}
