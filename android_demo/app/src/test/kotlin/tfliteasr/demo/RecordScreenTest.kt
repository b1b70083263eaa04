package tfliteasr.demo

import android.media.AudioFormat
import android.view.MotionEvent
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.shadows.ShadowAudioTrack
import tfliteasr.audio.readWav

class RecordScreenTest : ScreenTest() {
    private val prompts get() = application.resources.getStringArray(R.array.prompts)

    @Test
    fun `a recording can be kept, and the next sentence is shown`() {
        open()
        assertEquals(prompts[0], text(R.id.prompt))
        assertFalse(isShown(R.id.review))
        say(Speech.samples(0))
        assertTrue(isShown(R.id.review))
        press(R.id.keep)
        until("it is counted") { text(R.id.kept) == "1 recording kept" }
        assertEquals(prompts[1], text(R.id.prompt))
        assertFalse(isShown(R.id.review))
        val wav = readWav(stored.resolve("recordings/00001.wav"))
        val said = Speech.samples(0)
        assertEquals(16000, wav.sampleRate)
        val apart = said.zip(Speech.shorts(wav.samples).asList()) { one, other -> Math.abs(one - other) }
        assertTrue("samples are ${apart.maxOrNull()} apart", apart.size == said.size && apart.all { it <= 1 })
    }

    @Test
    fun `one that is too short is told and not kept`() = refused(Speech.tone(0.1, 0.3), R.string.record_too_short)

    @Test
    fun `silence is told and not kept`() = refused(ShortArray(16000), R.string.record_silent)

    @Test
    fun `a shout that clips is told and not kept`() = refused(Speech.tone(1.0, 3.0), R.string.record_too_loud)

    private fun refused(samples: ShortArray, words: Int) {
        open()
        say(samples)
        assertEquals(string(words), text(R.id.message))
        assertFalse(isShown(R.id.review))
        say(Speech.samples(0))
        assertEquals("", text(R.id.message))
        assertTrue(isShown(R.id.review))
    }

    @Test
    fun `a recording that does not end stops by itself, and is too long`() {
        open()
        FakeMicrophone.says(Speech.tone(20.0, 0.3))
        touch(MotionEvent.ACTION_DOWN)
        until("it stops") { text(R.id.hold) == string(R.string.record_hold) }
        assertEquals(string(R.string.record_too_long), text(R.id.message))
        assertFalse(isShown(R.id.review))
    }

    @Test
    fun `the loudness is shown while the button is held`() {
        open()
        FakeMicrophone.says(Speech.tone(1.0, 0.5))
        touch(MotionEvent.ACTION_DOWN)
        assertEquals(string(R.string.record_recording), text(R.id.hold))
        val level = view<android.widget.ProgressBar>(R.id.level)
        var highest = 0
        until("it is shown") { highest = maxOf(highest, level.progress); highest in 45..51 }
        touch(MotionEvent.ACTION_UP)
        until("it is over") { isShown(R.id.review) }
        assertEquals(0, level.progress)
    }

    @Test
    fun `again throws a recording away and keeps the sentence`() {
        open()
        say(Speech.samples(0))
        press(R.id.again)
        assertFalse(isShown(R.id.review))
        assertEquals(prompts[0], text(R.id.prompt))
        assertEquals(0, recordings())
    }

    @Test
    fun `another sentence can be asked for, and after the last one comes the first`() {
        open()
        for (index in 1..prompts.size) {
            press(R.id.skip)
            assertEquals(prompts[index % prompts.size], text(R.id.prompt))
        }
    }

    @Test
    fun `play gives the recording to the loudspeaker`() {
        val written = ArrayList<Byte>()
        var rate = 0
        val listener = ShadowAudioTrack.OnAudioDataWrittenListener { _, data, format: AudioFormat ->
            written += data.toList()
            rate = format.sampleRate
        }
        ShadowAudioTrack.addAudioDataListener(listener)
        open()
        say(Speech.samples(3))
        press(R.id.play)
        ShadowAudioTrack.removeAudioDataListener(listener)
        assertEquals(16000, rate)
        assertTrue(written.size >= 2 * Speech.samples(3).size)
    }

    @Test
    fun `turning the phone loses neither the sentence nor the recording`() {
        open()
        press(R.id.skip)
        say(Speech.samples(0))
        val before = activity
        app.recreate()
        assertNotEquals(before, activity)
        assertEquals(prompts[1], text(R.id.prompt))
        assertTrue(isShown(R.id.review))
        press(R.id.keep)
        until("it is kept") { text(R.id.kept) == "1 recording kept" }
    }

    @Test
    fun `turning the phone while the button is held ends the recording`() {
        open()
        FakeMicrophone.says(Speech.tone(1.0, 0.5))
        touch(MotionEvent.ACTION_DOWN)
        app.recreate()
        until("the recording is there") { isShown(R.id.review) }
        assertEquals(string(R.string.record_hold), text(R.id.hold))
    }

    @Test
    fun `a microphone that another app took is told, and can be used later`() {
        open()
        FakeMicrophone.busy()
        touch(MotionEvent.ACTION_DOWN)
        until("it is told") { text(R.id.message) == string(R.string.record_microphone_busy) }
        touch(MotionEvent.ACTION_UP)
        say(Speech.samples(0))
        assertTrue(isShown(R.id.review))
        assertEquals("", text(R.id.message))
    }

    @Test
    fun `a full storage is told, and the recording can be kept later`() {
        open()
        val folder = stored.resolve("recordings").apply { writeText("no folder can be made here") }
        say(Speech.samples(0))
        press(R.id.keep)
        until("it is told") { text(R.id.message) == string(R.string.problem_storage) }
        assertTrue(isShown(R.id.review))
        folder.delete()
        press(R.id.keep)
        until("it is kept") { text(R.id.kept) == "1 recording kept" }
    }

    @Test
    fun `what was kept is there in another process`() {
        open()
        keep(3)
        app.pause().stop().destroy()
        application.restart()
        open()
        until("they are counted") { text(R.id.kept) == "3 recordings kept" }
    }
}
