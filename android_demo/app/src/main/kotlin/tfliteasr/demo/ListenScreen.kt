package tfliteasr.demo

import android.view.View
import android.widget.Button
import android.widget.TextView
import tfliteasr.audio.Sound

/** Live text while the owner speaks; then what was heard before and after learning, side by side. */
class ListenScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_listen, null)

    private val live = view.findViewById<TextView>(R.id.live)
    private val before = view.findViewById<TextView>(R.id.before)
    private val after = view.findViewById<TextView>(R.id.after)
    private val hold = HoldToRecord(activity, view, R.string.listen_record, ::recorded, ::begun)

    override fun show() = update()

    override fun update() {
        hold.update()
        if (activity.engine.state.running) {
            view.findViewById<Button>(R.id.hold).isEnabled = false
            hold.say(R.string.listen_training)
        }
        activity.engine.state.problem?.let {
            hold.say(it)
            activity.engine.problemSeen()
        }
    }

    override fun hide() = hold.stop()

    private fun begun(): (FloatArray) -> Unit {
        live.text = ""
        return activity.engine.live { live.text = it }
    }

    private fun recorded(sound: Sound) {
        before.setText(R.string.listen_working)
        after.text = ""
        activity.engine.listen(sound) { shipped, learned, ownVoice ->
            before.text = shipped?.ifEmpty { null } ?: activity.getString(R.string.listen_nothing)
            after.text = learned?.ifEmpty { null } ?: activity.getString(R.string.listen_nothing)
            if (shipped == null) hold.say(R.string.problem_listening)
            if (!ownVoice) hold.say(R.string.listen_other_voice)
        }
        activity.engine.stored { _, _, learnedBytes -> if (learnedBytes == 0L) hold.say(R.string.listen_not_learned) }
    }
}
