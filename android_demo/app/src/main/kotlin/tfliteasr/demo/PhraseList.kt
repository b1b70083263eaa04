package tfliteasr.demo

import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView

/** The names that the recogniser expects: corrections teach it some, the owner adds others, each can be deleted. */
class PhraseList(private val activity: MainActivity, view: View) {
    private val rows = view.findViewById<ViewGroup>(R.id.phrases)
    private val none = view.findViewById<View>(R.id.phrases_none)
    private val input = view.findViewById<EditText>(R.id.phrase)
    private val add = view.findViewById<Button>(R.id.phrase_add)
    private val message = view.findViewById<TextView>(R.id.message)

    init {
        add.setOnClickListener { add(input.text.toString()) }
    }

    /** While training goes on, the recogniser has no time. */
    fun update() {
        add.isEnabled = !activity.engine.state.running
        for (index in 0 until rows.childCount) rows.getChildAt(index).findViewById<View>(R.id.remove).isEnabled = add.isEnabled
    }

    fun load(): Unit = activity.engine.phrases { phrases ->
        rows.removeAllViews()
        phrases.forEach { rows.addView(row(it)) }
        none.visibility = if (phrases.isEmpty()) View.VISIBLE else View.GONE
        update()
    }

    private fun row(phrase: String): View = activity.layoutInflater.inflate(R.layout.row_phrase, rows, false).also { row ->
        row.findViewById<TextView>(R.id.name).text = phrase
        row.findViewById<Button>(R.id.remove).run {
            contentDescription = activity.getString(R.string.phrase_remove_named, phrase)
            setOnClickListener { activity.engine.deletePhrase(phrase) { load() } }
        }
    }

    private fun add(phrase: String) {
        if (phrase.isBlank()) return
        activity.engine.addPhrase(phrase) { taken ->
            if (taken) input.setText("")
            message.setText(if (taken) R.string.phrase_added else R.string.phrase_refused)
            load()
        }
    }
}
