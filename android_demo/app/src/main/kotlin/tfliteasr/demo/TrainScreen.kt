package tfliteasr.demo

import android.view.View
import android.widget.Button
import android.widget.ProgressBar
import android.widget.Switch
import android.widget.TextView
import tfliteasr.android.NightSchedule
import tfliteasr.android.SpeechEngine
import tfliteasr.android.TrainingState
import tfliteasr.personalization.StopReason

/** How training is chosen and goes on, and a button that stops it. */
class TrainScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_train, null)

    private val engine = activity.engine
    private val schedule = NightSchedule(activity)
    private val start = view.findViewById<Button>(R.id.start)
    private val stop = view.findViewById<Button>(R.id.stop)
    private var recordings = 0

    init {
        start.setOnClickListener { engine.train() }
        stop.setOnClickListener { engine.stop(StopReason.Kind.ASKED) }
        view.findViewById<Switch>(R.id.night).run {
            isChecked = schedule.isOn()
            setOnCheckedChangeListener { _, on -> schedule.set(on) }
        }
    }

    override fun show() {
        update()
        engine.stored {
            recordings = it.recordings
            update()
        }
    }

    override fun update() {
        val state = engine.state
        start.isEnabled = !state.running && recordings >= SpeechEngine.LEAST_RECORDINGS
        stop.isEnabled = state.running
        text(R.id.state, summary(state))
        text(
            R.id.round,
            state.chosen?.let {
                val (groups, calls) = it.trainableGroups.size to it.calls
                activity.getString(R.string.train_round, groups, calls, it.predictedPeakMb, state.budget?.ramMb)
            },
        )
        text(R.id.step, state.loss?.let { activity.getString(R.string.train_step, state.step, state.steps, it) })
        view.findViewById<ProgressBar>(R.id.progress).run {
            max = maxOf(1, state.steps)
            progress = state.step
        }
        view.findViewById<CurveView>(R.id.curve).history = state.history
        val reading = state.reading ?: engine.resources.now()
        val charging = if (reading.charging) activity.getString(R.string.train_charging) else ""
        val battery = reading.batteryPercent?.let { activity.getString(R.string.train_battery, it, charging) }.orEmpty()
        text(R.id.resources, activity.getString(R.string.train_resources, reading.availableRamMb, battery))
    }

    override fun hide() {}

    private fun summary(state: TrainingState): String {
        val (problem, stopped, last) = Triple(state.problem, state.stopped, state.history.lastOrNull())
        return when {
            problem != null -> activity.getString(wordsFor(problem))
            state.measuring -> activity.getString(R.string.train_measuring)
            state.running && last == null -> activity.getString(R.string.train_waiting)
            stopped != null && !state.running -> activity.getString(message(stopped))
            last != null -> activity.getString(R.string.train_epoch, last.epoch, 100 * last.validationWer, last.validationLoss)
            recordings < SpeechEngine.LEAST_RECORDINGS -> activity.getString(R.string.train_few, SpeechEngine.LEAST_RECORDINGS)
            else -> activity.getString(R.string.train_idle)
        }
    }

    private fun message(reason: StopReason.Kind): Int = when (reason) {
        StopReason.Kind.EPOCHS_DONE, StopReason.Kind.ROUNDS_DONE, StopReason.Kind.ALL_HEARD -> R.string.stopped_done
        StopReason.Kind.NO_GAIN -> R.string.stopped_no_gain
        StopReason.Kind.ASKED -> R.string.stopped_asked
        StopReason.Kind.LOW_MEMORY -> R.string.stopped_low_memory
        StopReason.Kind.LOW_BATTERY -> R.string.stopped_low_battery
        StopReason.Kind.NOT_CHARGING -> R.string.stopped_not_charging
        StopReason.Kind.TOO_HOT -> R.string.stopped_too_hot
        StopReason.Kind.NO_PLAN_FITS -> R.string.stopped_no_plan_fits
    }

    private fun text(id: Int, text: String?) {
        view.findViewById<TextView>(id).text = text.orEmpty()
    }
}
