package tfliteasr.demo

import android.app.AlertDialog
import android.view.WindowManager
import android.widget.EditText
import tfliteasr.android.Transcripts

/**
 * Asks what was really said.
 *
 * @param word that was tapped, counted from 0: it is selected, so that typing replaces it; null selects nothing.
 * @param onText told the text of the whole utterance.
 */
class CorrectionDialog(
    private val activity: MainActivity,
    private val found: Transcripts,
    private val word: Int?,
    private val onText: (String) -> Unit,
) {
    fun show() {
        val view = activity.layoutInflater.inflate(R.layout.dialog_correction, null)
        val input = view.findViewById<EditText>(R.id.text)
        input.setText(found.after)
        select(input)
        val dialog = AlertDialog.Builder(activity)
            .setTitle(R.string.correct_title)
            .setView(view)
            .setPositiveButton(R.string.correct_keep) { _, _ -> onText(input.text.toString()) }
            .setNegativeButton(android.R.string.cancel, null)
            .create()
        dialog.window?.setSoftInputMode(WindowManager.LayoutParams.SOFT_INPUT_STATE_VISIBLE)
        dialog.show()
    }

    private fun select(input: EditText) {
        val start = word?.let { index -> found.words.take(index).sumOf { it.text.length + 1 } } ?: return input.setSelection(input.length())
        input.setSelection(start, start + found.words[word].text.length)
    }
}
