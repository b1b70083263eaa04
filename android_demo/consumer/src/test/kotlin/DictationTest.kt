package consumer

import android.app.Application
import android.app.job.JobScheduler
import android.os.Looper
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import tfliteasr.android.ModelRuntime
import tfliteasr.android.SpeechEngine
import tfliteasr.audio.readWav
import tfliteasr.jvm.LiteRtModel
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer

@RunWith(RobolectricTestRunner::class)
@Config(application = Application::class)
class DictationTest {
    private val runtime = object : ModelRuntime {
        override val version = "desktop"

        override fun open(path: File, threads: Int, signatures: Set<String>?) = LiteRtModel(path, threads, signatures)
    }

    @Test
    fun `an app that has the AAR alone recognises a word, keeps it and plans the night`() {
        val application = RuntimeEnvironment.getApplication()
        val dictation = Dictation(SpeechEngine(application, "commands", runtime), application)
        val sound = readWav(File("../vectors/speech/00001.wav"))
        var text: String? = null
        var kept = false
        dictation.hear(sound) { text = it }
        dictation.teach(sound, "TWO") { kept = it }
        val end = System.nanoTime() + 60_000_000_000
        while ((text == null || !kept) && System.nanoTime() < end) {
            shadowOf(Looper.getMainLooper()).idle()
            Thread.sleep(5)
        }
        val plain = Artifact.read(File("../../tflite_asr/assets/commands.tflite"))
        assertEquals(Recognizer(plain, LiteRtModel(plain.path)).use { it.transcribe(sound.samples) }, text)
        assertTrue(text!!.isNotEmpty())
        assertTrue(kept)
        val job = application.getSystemService(JobScheduler::class.java).allPendingJobs.single()
        assertEquals("tfliteasr.android.NightTraining", job.service.className)
    }
}
