package tfliteasr.demo

import android.text.SpannableStringBuilder
import android.text.Spanned
import android.text.TextPaint
import android.text.method.LinkMovementMethod
import android.text.style.ClickableSpan
import android.view.View
import android.widget.Button
import android.widget.TextView
import tfliteasr.android.Transcripts
import tfliteasr.audio.Sound
import tfliteasr.runtime.Word

/**
 * Live text while the owner speaks; then what was heard before and after learning, side by side. A word that is wrong is
 * tapped and corrected.
 */
class ListenScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_listen, null)

    private val live = view.findViewById<TextView>(R.id.live)
    private val before = view.findViewById<TextView>(R.id.before)
    private val after = view.findViewById<TextView>(R.id.after)
    private val correct = view.findViewById<Button>(R.id.correct)
    private val hint = view.findViewById<TextView>(R.id.correct_hint)
    private val corrected = view.findViewById<TextView>(R.id.corrected)
    private val hold = HoldToRecord(activity, view, R.string.listen_record, ::recorded, ::begun)
    private var learnedBytes: Long? = null
    private var waits = false // the message is about a training

    init {
        after.movementMethod = LinkMovementMethod.getInstance()
        correct.setOnClickListener { correct(null) }
    }

    override fun show() {
        update()
        activity.engine.stored {
            learnedBytes = it.learnedBytes
            update()
        }
    }

    override fun update() {
        hold.update()
        val training = activity.engine.state.running
        if (waits && !training) hold.say(null)
        waits = training
        tell(activity.draft.listening)
        if (training) {
            view.findViewById<Button>(R.id.hold).isEnabled = false
            hold.say(R.string.listen_training)
        }
        activity.engine.state.problem?.let {
            hold.say(wordsFor(it))
            activity.engine.problemSeen()
        }
    }

    override fun hide() = hold.stop()

    private fun begun(): (FloatArray) -> Unit {
        live.text = ""
        activity.draft.listening = null
        tell(null)
        return activity.engine.live { live.text = it }
    }

    private fun recorded(sound: Sound) {
        val listening = Listening(sound)
        val engine = activity.engine
        activity.draft.listening = listening
        engine.onChange() // of the screen that is seen now: the phone may have been turned meanwhile
        engine.listen(sound) {
            listening.transcripts = it
            listening.failed = it == null
            engine.onChange()
        }
    }

    private fun tell(listening: Listening?) {
        val found = listening?.transcripts
        val waiting = listening != null && found == null && !listening.failed
        before.text = if (waiting) activity.getText(R.string.listen_working) else shown(found?.before)
        after.text = when {
            waiting -> ""
            found == null || found.words.isEmpty() -> shown(found?.after)
            else -> tappable(found)
        }
        correct.visibility = if (found == null) View.GONE else View.VISIBLE
        hint.visibility = correct.visibility
        corrected.text = listening?.corrected?.let { activity.getString(wordsFor(it)) }.orEmpty()
        when {
            listening?.failed == true -> hold.say(R.string.problem_listening)
            found?.ownVoice == false -> hold.say(R.string.listen_other_voice)
            found != null && learnedBytes == 0L -> hold.say(R.string.listen_not_learned)
        }
    }

    private fun shown(text: String?): CharSequence = text?.ifEmpty { null } ?: activity.getText(R.string.listen_nothing)

    /** The words of [Transcripts.after], each to be tapped; those that are often wrong are underlined. */
    private fun tappable(found: Transcripts): CharSequence = SpannableStringBuilder().apply {
        for ((index, word) in found.words.withIndex()) {
            if (index > 0) append(' ')
            append(word.text, WordSpan(word) { correct(index) }, Spanned.SPAN_EXCLUSIVE_EXCLUSIVE)
        }
    }

    private fun correct(word: Int?) {
        val listening = activity.draft.listening ?: return
        val found = listening.transcripts ?: return
        val engine = activity.engine
        CorrectionDialog(activity, found, word) { text ->
            engine.correct(listening.sound, text, found.after) {
                listening.corrected = it
                engine.onChange()
            }
        }.show()
    }

    /** Looks like the text around it, underlined where the recogniser is not sure. */
    private class WordSpan(private val word: Word, private val tapped: () -> Unit) : ClickableSpan() {
        override fun onClick(view: View) = tapped()

        override fun updateDrawState(paint: TextPaint) {
            paint.isUnderlineText = word.confidence < UNSURE
        }
    }

    private companion object {
        const val UNSURE = 0.5
    }
}
