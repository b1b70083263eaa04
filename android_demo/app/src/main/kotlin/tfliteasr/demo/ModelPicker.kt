package tfliteasr.demo

import android.view.View
import android.widget.Button
import android.widget.RadioButton
import android.widget.RadioGroup
import android.widget.TextView

/** The model that the app holds, or one whose files the owner opens. */
class ModelPicker(private val activity: MainActivity, view: View) {
    private val group = view.findViewById<RadioGroup>(R.id.models)
    private val shipped = view.findViewById<RadioButton>(R.id.model_shipped)
    private val opened = view.findViewById<RadioButton>(R.id.model_opened)
    private val open = view.findViewById<Button>(R.id.model_open)
    private val message = view.findViewById<TextView>(R.id.model_message)

    init {
        open.setOnClickListener { activity.askForModel() }
    }

    fun load(): Unit = activity.engine.models { models ->
        group.setOnCheckedChangeListener(null)
        shipped.text = activity.getString(R.string.model_shipped, models.shipped)
        opened.text = models.opened.orEmpty()
        opened.visibility = if (models.opened == null) View.GONE else View.VISIBLE
        group.check(if (models.usesOpened) R.id.model_opened else R.id.model_shipped)
        group.setOnCheckedChangeListener { _, chosen -> activity.engine.useModel(chosen == R.id.model_opened) { load() } }
    }

    fun update() {
        val free = !activity.engine.state.running
        listOf(open, shipped, opened).forEach { it.isEnabled = free }
        activity.draft.opening?.let {
            message.setText(wordsFor(it))
            activity.draft.opening = null
            load()
        }
    }
}
