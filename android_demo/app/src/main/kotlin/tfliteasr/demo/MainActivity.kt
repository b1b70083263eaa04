package tfliteasr.demo

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.widget.FrameLayout
import android.widget.RadioGroup
import tfliteasr.android.Opening
import tfliteasr.android.SpeechEngine

/** Four screens and the tabs between them. */
class MainActivity : Activity() {
    private var screen: Screen? = null
    private var started = false
    val engine: SpeechEngine get() = (application as DemoApplication).engine
    val draft: Draft get() = (application as DemoApplication).draft

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.activity_main)
        val tabs = findViewById<RadioGroup>(R.id.tabs)
        tabs.setOnCheckedChangeListener { _, tab -> open(tab) }
        tabs.check(saved?.getInt(TAB) ?: R.id.tab_record)
    }

    private fun open(tab: Int) {
        screen?.hide()
        val opened = when (tab) {
            R.id.tab_train -> TrainScreen(this)
            R.id.tab_listen -> ListenScreen(this)
            R.id.tab_data -> DataScreen(this)
            else -> RecordScreen(this)
        }
        screen = opened
        val frame = findViewById<FrameLayout>(R.id.screen)
        frame.removeAllViews()
        frame.addView(opened.view)
        if (started) opened.show()
    }

    override fun onStart() {
        super.onStart()
        started = true
        engine.onChange = { screen?.update() }
        screen?.show()
    }

    override fun onStop() {
        started = false
        engine.onChange = {}
        screen?.hide()
        super.onStop()
    }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        out.putInt(TAB, findViewById<RadioGroup>(R.id.tabs).checkedRadioButtonId)
    }

    fun mayRecord(): Boolean = checkSelfPermission(Manifest.permission.RECORD_AUDIO) == PackageManager.PERMISSION_GRANTED

    fun askForMicrophone() = requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), 0)

    override fun onRequestPermissionsResult(request: Int, permissions: Array<out String>, results: IntArray) {
        draft.refused = permissions.isNotEmpty() && !mayRecord()
        screen?.update()
    }

    /** The files of a model, wherever the phone can open documents; no permission is needed for it. */
    fun askForModel() {
        val files = Intent(Intent.ACTION_OPEN_DOCUMENT)
            .addCategory(Intent.CATEGORY_OPENABLE)
            .setType("*/*") // a .tflite has no type of its own
            .putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true)
        try {
            startActivityForResult(files, MODEL)
        } catch (_: ActivityNotFoundException) {
            opened(Opening.NOT_READABLE)
        }
    }

    @Deprecated("the framework has nothing else for an activity of its own")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        if (request == MODEL && result == RESULT_OK) engine.openModel(documents(data), ::opened)
    }

    private fun documents(data: Intent?): List<Uri> {
        val several = data?.clipData?.let { clip -> List(clip.itemCount) { clip.getItemAt(it).uri } }
        return several ?: listOfNotNull(data?.data)
    }

    private fun opened(opening: Opening) {
        draft.opening = opening
        engine.onChange() // of the activity that is seen now
    }

    private companion object {
        const val TAB = "tab"
        const val MODEL = 1
    }
}
