package tfliteasr.demo

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.os.Bundle
import android.widget.FrameLayout
import android.widget.RadioGroup

/** Four screens and the tabs between them. */
class MainActivity : Activity() {
    private var screen: Screen? = null
    private var started = false
    val engine: Engine get() = (application as DemoApplication).engine
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

    private companion object {
        const val TAB = "tab"
    }
}
