package tfliteasr.demo

import android.app.AlertDialog
import android.text.format.Formatter
import android.view.View
import android.widget.Button
import android.widget.TextView

/** What is stored of the owner, names that are expected, the model that is used; and a way to be rid of all. */
class DataScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_data, null)

    private val phrases = PhraseList(activity, view)
    private val models = ModelPicker(activity, view)

    init {
        view.findViewById<Button>(R.id.delete).setOnClickListener {
            AlertDialog.Builder(activity)
                .setMessage(R.string.data_delete_question)
                .setPositiveButton(R.string.data_delete) { _, _ -> delete() }
                .setNegativeButton(android.R.string.cancel, null)
                .show()
        }
    }

    override fun show() {
        count()
        phrases.load()
        models.load()
        update()
    }

    override fun update() {
        phrases.update()
        models.update()
        activity.engine.state.problem?.let {
            text(R.id.message, activity.getString(wordsFor(it)))
            activity.engine.problemSeen()
        }
    }

    private fun count() = activity.engine.stored {
        val recordings = it.recordings
        text(
            R.id.recordings,
            activity.resources.getQuantityString(R.plurals.data_recordings, recordings, recordings, size(it.recordingBytes)),
        )
        val learned = if (it.learnedBytes == 0L) R.string.data_nothing_learned else R.string.data_learned
        text(R.id.learned, activity.getString(learned, size(it.learnedBytes)))
    }

    override fun hide() {}

    private fun delete() {
        activity.draft.sound = null
        activity.draft.listening = null
        activity.engine.deleteAll { gone ->
            text(R.id.message, activity.getString(if (gone) R.string.data_deleted else R.string.problem_delete))
            count()
            phrases.load()
        }
    }

    private fun size(bytes: Long): String = Formatter.formatShortFileSize(activity, bytes)

    private fun text(id: Int, text: String) {
        view.findViewById<TextView>(id).text = text
    }
}
