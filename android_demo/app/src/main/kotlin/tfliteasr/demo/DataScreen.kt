package tfliteasr.demo

import android.app.AlertDialog
import android.text.format.Formatter
import android.view.View
import android.widget.Button
import android.widget.TextView

/** What is stored of the owner, and a way to be rid of it. */
class DataScreen(private val activity: MainActivity) : Screen {
    override val view: View = activity.layoutInflater.inflate(R.layout.screen_data, null)

    init {
        view.findViewById<Button>(R.id.delete).setOnClickListener {
            AlertDialog.Builder(activity)
                .setMessage(R.string.data_delete_question)
                .setPositiveButton(R.string.data_delete) { _, _ -> delete() }
                .setNegativeButton(android.R.string.cancel, null)
                .show()
        }
    }

    override fun show() = count()

    override fun update() {}

    private fun count() = activity.engine.stored { count, bytes, learnedBytes ->
        text(R.id.recordings, activity.resources.getQuantityString(R.plurals.data_recordings, count, count, size(bytes)))
        val learned = if (learnedBytes == 0L) R.string.data_nothing_learned else R.string.data_learned
        text(R.id.learned, activity.getString(learned, size(learnedBytes)))
    }

    override fun hide() {}

    private fun delete() {
        activity.draft.sound = null
        activity.engine.deleteAll { gone ->
            text(R.id.message, activity.getString(if (gone) R.string.data_deleted else R.string.problem_delete))
            count()
        }
    }

    private fun size(bytes: Long): String = Formatter.formatShortFileSize(activity, bytes)

    private fun text(id: Int, text: String) {
        view.findViewById<TextView>(id).text = text
    }
}
