package tfliteasr.demo

import android.view.View
import android.widget.Button
import android.widget.TextView
import tfliteasr.audio.Sound

/** A sentence to say; what was said can be heard, kept or said again. */
class RecordScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_record, null)

    private val prompts = activity.resources.getStringArray(R.array.prompts)
    private val prompt = view.findViewById<TextView>(R.id.prompt)
    private val review = view.findViewById<View>(R.id.review)
    private val keep = view.findViewById<Button>(R.id.keep)
    private val player = Player()
    private val hold = HoldToRecord(activity, view, R.string.record_hold, ::recorded)

    init {
        view.findViewById<Button>(R.id.play).setOnClickListener { activity.draft.sound?.let(player::play) }
        view.findViewById<Button>(R.id.again).setOnClickListener { recorded(null) }
        view.findViewById<Button>(R.id.skip).setOnClickListener { next() }
        keep.setOnClickListener { activity.draft.sound?.let(::keep) }
    }

    override fun show() {
        update()
        count()
    }

    override fun update() {
        hold.update()
        activity.engine.state.problem?.let {
            hold.say(wordsFor(it))
            activity.engine.problemSeen()
        }
        prompt.text = prompts[activity.draft.prompt % prompts.size]
        review.visibility = if (activity.draft.sound == null) View.GONE else View.VISIBLE
    }

    override fun hide() {
        hold.stop()
        player.stop()
    }

    private fun recorded(sound: Sound?) {
        player.stop()
        activity.draft.sound = sound
        activity.engine.onChange() // of the screen that is seen now: the phone may have been turned meanwhile
    }

    private fun keep(sound: Sound) {
        keep.isEnabled = false
        activity.engine.keep(sound, prompts[activity.draft.prompt % prompts.size]) { kept ->
            keep.isEnabled = true
            if (kept) next() // what could not be kept stays on the screen, and can be tried again
            count()
        }
    }

    private fun next() {
        activity.draft.prompt++
        recorded(null)
    }

    private fun count() = activity.engine.stored {
        val kept = it.recordings
        view.findViewById<TextView>(R.id.kept).text = activity.resources.getQuantityString(R.plurals.record_kept, kept, kept)
    }
}
