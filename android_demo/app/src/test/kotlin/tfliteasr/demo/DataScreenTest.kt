package tfliteasr.demo

import android.app.AlertDialog
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test

class DataScreenTest : ScreenTest() {
    private val rows: ViewGroup get() = view(R.id.phrases)

    private fun names() = List(rows.childCount) { rows.getChildAt(it).findViewById<TextView>(R.id.name).text.toString() }

    private fun add(name: String) {
        view<EditText>(R.id.phrase).setText(name)
        view<TextView>(R.id.message).text = ""
        press(R.id.phrase_add)
        until("it is answered") { text(R.id.message).isNotEmpty() }
    }

    @Test
    fun `recordings and what was learned are counted`() {
        open(R.id.tab_data)
        until("they are counted") { text(R.id.learned) == string(R.string.data_nothing_learned) }
        assertTrue(text(R.id.recordings), text(R.id.recordings).startsWith("0 recordings, 0 B"))
        keep(6)
        tab(R.id.tab_train)
        train()
        tab(R.id.tab_data)
        until("they are counted") { text(R.id.recordings).startsWith("6 recordings, ") }
        assertTrue(text(R.id.learned), text(R.id.learned).matches(Regex(".*[0-9.]+ MB")))
    }

    @Test
    fun `delete all asks first, and cancelling keeps all`() {
        open(R.id.tab_data)
        keep(2)
        press(R.id.delete)
        press(dialog(), AlertDialog.BUTTON_NEGATIVE)
        assertEquals(2, recordings())
    }

    @Test
    fun `after delete all, nothing is left on the phone or in the recogniser`() {
        open(R.id.tab_train)
        keep(6)
        tab(R.id.tab_train)
        train()
        tab(R.id.tab_data)
        add("Sheila")
        press(R.id.delete)
        press(dialog(), AlertDialog.BUTTON_POSITIVE)
        until("it is deleted") { text(R.id.message) == string(R.string.data_deleted) }
        until("it is counted") { text(R.id.learned) == string(R.string.data_nothing_learned) }
        assertTrue(text(R.id.recordings).startsWith("0 recordings"))
        until("no name is left") { names().isEmpty() }
        assertFalse(stored.resolve("recordings").exists())
        assertTrue(stored.resolve("learned").walk().none { it.isFile })
        tab(R.id.tab_listen)
        listen(1)
        assertEquals(text(R.id.before), text(R.id.after))
    }

    @Test
    fun `delete all while it trains stops the training first`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        tab(R.id.tab_data)
        press(R.id.delete)
        press(dialog(), AlertDialog.BUTTON_POSITIVE)
        until("it is deleted") { text(R.id.message) == string(R.string.data_deleted) }
        assertFalse(engine.state.running)
        assertTrue(stored.resolve("learned").walk().none { it.isFile })
    }

    @Test
    fun `what cannot be deleted is told`() {
        open(R.id.tab_data)
        keep(1)
        val folder = stored.resolve("recordings")
        val immovable = folder.resolve("kept") // a folder that changes while it is deleted: here one that may not be entered
        immovable.mkdirs()
        immovable.resolve("file").writeText("")
        val made = ProcessBuilder("chattr", "+i", immovable.path).start().waitFor() == 0
        org.junit.Assume.assumeTrue("this file system has no files that cannot be deleted", made)
        try {
            press(R.id.delete)
            press(dialog(), AlertDialog.BUTTON_POSITIVE)
            until("it is told") { text(R.id.message) == string(R.string.problem_delete) }
        } finally {
            ProcessBuilder("chattr", "-i", immovable.path).start().waitFor()
        }
    }

    @Test
    fun `names are added, kept for the next process, and deleted one by one`() {
        open(R.id.tab_data)
        until("there are none") { isShown(R.id.phrases_none) }
        add("Sheila")
        add("Marvin Dog")
        assertEquals(string(R.string.phrase_added), text(R.id.message))
        until("both are listed") { names() == listOf("Sheila", "Marvin Dog") }
        assertFalse(isShown(R.id.phrases_none))
        app.pause().stop().destroy()
        application.restart()
        open(R.id.tab_data)
        until("both are still listed") { names() == listOf("Sheila", "Marvin Dog") }
        rows.getChildAt(0).findViewById<Button>(R.id.remove).performClick()
        until("one is left") { names() == listOf("Marvin Dog") }
        rows.getChildAt(0).findViewById<Button>(R.id.remove).performClick()
        until("none is left") { isShown(R.id.phrases_none) }
    }

    @Test
    fun `a name that is there already or cannot be spelled is told`() {
        open(R.id.tab_data)
        add("Sheila")
        for (name in listOf("sheila", "123 Ω", "?")) {
            add(name)
            assertEquals(name, string(R.string.phrase_refused), text(R.id.message))
            assertEquals(name, view<EditText>(R.id.phrase).text.toString()) // to be changed
        }
        until("the first is listed") { names() == listOf("Sheila") }
    }

    @Test
    fun `while it trains, names wait`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_data)
        add("Sheila")
        keep()
        tab(R.id.tab_train)
        begin()
        tab(R.id.tab_data)
        assertFalse(view<Button>(R.id.phrase_add).isEnabled)
        assertFalse(view<Button>(R.id.model_open).isEnabled)
        engine.stop(tfliteasr.personalization.StopReason.Kind.ASKED)
        until("they can be changed again") { view<Button>(R.id.phrase_add).isEnabled && names() == listOf("Sheila") }
    }
}
