package tfliteasr.demo

import android.app.AlertDialog
import android.text.Spanned
import android.text.style.ClickableSpan
import android.view.MotionEvent
import android.view.View
import android.widget.EditText
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import tfliteasr.data.Recordings

class ListenScreenTest : ScreenTest() {
    private val words: List<ClickableSpan>
        get() = (view<TextView>(R.id.after).text as? Spanned)?.run {
            getSpans(0, length, ClickableSpan::class.java).sortedBy(::getSpanStart)
        }.orEmpty()

    /** Tap a word of what was heard, and write [text] instead of all of it. */
    private fun correct(text: String, word: Int = 0) {
        words[word].onClick(view(R.id.after))
        idle()
        dialog().findViewById<EditText>(R.id.text).setText(text)
        press(dialog(), AlertDialog.BUTTON_POSITIVE)
        until("it is answered") { text(R.id.corrected).isNotEmpty() }
    }

    @Test
    fun `as long as nothing was learned, both are the same and it is told`() {
        open(R.id.tab_listen)
        listen(1)
        assertTrue(text(R.id.before), text(R.id.before).matches(Regex("[A-Z ]+")))
        assertEquals(text(R.id.before), text(R.id.after))
        until("it is told") { text(R.id.message) == string(R.string.listen_not_learned) }
    }

    @Test
    fun `the text appears while it is said`() {
        open(R.id.tab_listen)
        val microphone = FakeMicrophone.says(Speech.samples(2) + ShortArray(8000))
        touch(MotionEvent.ACTION_DOWN)
        until("text is shown while the button is held") { text(R.id.live).isNotEmpty() }
        assertEquals(string(R.string.record_recording), text(R.id.hold))
        until("all is heard") { microphone.drained }
        touch(MotionEvent.ACTION_UP)
        until("both are heard") { application.draft.listening?.transcripts != null }
        assertEquals(text(R.id.after), text(R.id.live))
    }

    @Test
    fun `after training, a word is heard right that was heard wrong before`() {
        TestApplication.settings = TestApplication.QUICK.copy(epochs = 4, epochSteps = 8, connect = 1)
        open(R.id.tab_train)
        keep(5)
        tab(R.id.tab_train)
        train()
        tab(R.id.tab_listen)
        listen(1)
        assertNotEquals("this voice is not one that the shipped model hears right", Speech.texts[1], text(R.id.before))
        assertEquals(Speech.texts[1], text(R.id.after))
        assertNotEquals(string(R.string.listen_not_learned), text(R.id.message))
    }

    @Test
    fun `while it trains, listening has to wait and says so`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        tab(R.id.tab_listen)
        assertFalse(view<View>(R.id.hold).isEnabled)
        assertEquals(string(R.string.listen_training), text(R.id.message))
        engine.stop(tfliteasr.personalization.StopReason.Kind.ASKED)
        until("it can be used again") { view<View>(R.id.hold).isEnabled }
        assertEquals("", text(R.id.message))
    }

    @Test
    fun `a word that is tapped is selected, to be written over`() {
        open(R.id.tab_listen)
        listen(Speech.samples(0) + ShortArray(4000) + Speech.samples(1))
        val heard = text(R.id.after)
        assertEquals(heard, heard.split(" ").size, words.size)
        assertTrue(heard, words.size > 1)
        words[1].onClick(view(R.id.after))
        idle()
        val input = dialog().findViewById<EditText>(R.id.text)
        assertEquals(heard, input.text.toString())
        assertEquals(heard.split(" ")[1], input.text.substring(input.selectionStart, input.selectionEnd))
    }

    @Test
    fun `a correction is kept as a recording, which the next training learns from`() {
        open(R.id.tab_listen)
        listen(1)
        correct("wow")
        assertEquals(string(R.string.correct_kept), text(R.id.corrected))
        val kept = Recordings(stored.resolve("recordings")).all().single()
        assertEquals("WOW", kept.text)
    }

    @Test
    fun `a correction that is cancelled changes nothing`() {
        open(R.id.tab_listen)
        listen(1)
        press(R.id.correct)
        press(dialog(), AlertDialog.BUTTON_NEGATIVE)
        assertEquals("", text(R.id.corrected))
        assertEquals(0, recordings())
    }

    @Test
    fun `what was heard is no correction, and it is told`() = refused(null, R.string.correct_nothing)

    @Test
    fun `letters that the model does not know are told`() = refused("Ω", R.string.correct_does_not_fit)

    @Test
    fun `a text of something else is told`() =
        refused("SEVEN EIGHT NINE SEVEN EIGHT NINE SEVEN", R.string.correct_does_not_fit)

    @Test
    fun `an empty text is told`() = refused("", R.string.correct_does_not_fit)

    /** @param text null: what was heard, typed by somebody who does not care for case. */
    private fun refused(text: String?, words: Int) {
        open(R.id.tab_listen)
        listen(1)
        correct(text ?: (text(R.id.after).lowercase() + " "))
        assertEquals(string(words), text(R.id.corrected))
        assertEquals(0, recordings())
    }

    @Test
    fun `turning the phone keeps what was heard`() {
        open(R.id.tab_listen)
        listen(1)
        val (before, after) = text(R.id.before) to text(R.id.after)
        app.recreate()
        assertEquals(before, text(R.id.before))
        assertEquals(after, text(R.id.after))
        correct("WOW")
        assertEquals(string(R.string.correct_kept), text(R.id.corrected))
    }

    @Test
    fun `turning the phone while it listens loses nothing`() {
        open(R.id.tab_listen)
        say(Speech.samples(1))
        app.recreate()
        until("both are heard") { text(R.id.after).matches(Regex("[A-Z ]+")) }
        assertEquals(text(R.id.before), text(R.id.after))
    }

    @Test
    fun `a new recording clears what was said of the last one`() {
        open(R.id.tab_listen)
        listen(1)
        correct("WOW")
        say(ShortArray(16000))
        assertEquals(string(R.string.record_silent), text(R.id.message))
        assertEquals(string(R.string.listen_nothing), text(R.id.after))
        listen(0)
        assertEquals("", text(R.id.corrected))
    }
}
