package tfliteasr.demo

import android.app.Activity
import android.content.ClipData
import android.content.Intent
import android.net.Uri
import android.widget.RadioButton
import android.widget.TextView
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.security.MessageDigest
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf
import tfliteasr.android.CorrectionResult

/** Another model, whose files the owner opens by the system's own screen for documents. */
class ModelPickerTest : ScreenTest() {
    private val decoder = listOf(Speech.vectors.resolve("decoder.tflite"), Speech.vectors.resolve("decoder.json"))

    /** Choose documents with these names; each is what a provider would give. */
    private fun choose(vararg documents: Pair<String, () -> java.io.InputStream>) {
        press(R.id.model_open)
        val asked = shadowOf(activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.intent.action)
        assertTrue(asked.intent.getBooleanExtra(Intent.EXTRA_ALLOW_MULTIPLE, false))
        val uris = documents.map { (name, stream) ->
            Uri.parse("content://documents/$name").also { uri ->
                shadowOf(application.contentResolver).registerInputStreamSupplier(uri) { stream() }
            }
        }
        val chosen = Intent()
        if (uris.size == 1) chosen.data = uris[0]
        if (uris.size > 1) {
            chosen.clipData = ClipData.newRawUri(null, uris[0]).apply { uris.drop(1).forEach { addItem(ClipData.Item(it)) } }
        }
        shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, chosen)
        until("it is answered") { text(R.id.model_message).isNotEmpty() }
    }

    private fun choose(files: List<File>) = choose(*files.map { it.name to { it.inputStream() } }.toTypedArray())

    private fun usesOpened() = view<RadioButton>(R.id.model_opened).isChecked

    private fun refused(words: Int) {
        assertEquals(string(words), text(R.id.model_message))
        assertFalse(isShown(R.id.model_opened))
        tab(R.id.tab_listen)
        listen(1)
        assertTrue("the app's own model still listens", text(R.id.before).matches(Regex("[A-Z ]+")))
    }

    @Test
    fun `a model that is opened is used, in another process too, until the app's own is chosen again`() {
        open(R.id.tab_data)
        val own = engine.config
        choose(decoder)
        assertEquals(string(R.string.model_opened), text(R.id.model_message))
        until("it is loaded") { engine.config!!.decoder != null && usesOpened() }
        assertEquals("decoder", view<RadioButton>(R.id.model_opened).text)
        app.pause().stop().destroy()
        application.restart()
        open(R.id.tab_data)
        until("it is shown") { usesOpened() }
        assertTrue(engine.config!!.decoder != null)
        view<RadioButton>(R.id.model_shipped).performClick()
        until("the app's own is loaded") { engine.config!!.decoder == null }
        assertEquals(own!!.sizes, engine.config!!.sizes)
        assertTrue("it can be chosen again", isShown(R.id.model_opened))
    }

    @Test
    fun `a shipped model of sentences is opened and listens`() {
        open(R.id.tab_data)
        choose(listOf("sentences.tflite", "sentences.json").map(Speech.assets::resolve))
        until("it is loaded") { usesOpened() && engine.config!!.maxSeconds > 5 }
        tab(R.id.tab_listen)
        listen(1)
        assertFalse(application.draft.listening!!.failed)
    }

    @Test
    fun `the English model is opened and writes what is said with case and punctuation`() {
        open(R.id.tab_data)
        choose(listOf("english.tflite", "english.json").map(Speech.assets::resolve))
        until("it is loaded") { usesOpened() && engine.config!!.decoder != null }
        assertEquals(string(R.string.model_opened), text(R.id.model_message))
        assertEquals("english", view<RadioButton>(R.id.model_opened).text)
        tab(R.id.tab_listen)
        val pause = ShortArray(4000)
        listen((0..2).map(Speech::samples).reduce { said, next -> said + pause + next } + pause)
        assertEquals("One, two, three.", text(R.id.before)) // as Python hears it
        assertEquals("One, two, three.", text(R.id.after))
        assertEquals(listOf("One,", "two,", "three."), application.draft.listening!!.transcripts!!.words.map { it.text })
    }

    @Test
    fun `a correction teaches a name, which is listed and can be deleted`() {
        open(R.id.tab_data)
        choose(decoder)
        until("it is loaded") { engine.config!!.decoder != null }
        var result: CorrectionResult? = null
        engine.correct(Speech.sound(1), "aoife", "two") { result = it }
        until("it is answered") { result != null }
        assertEquals(CorrectionResult.KEPT, result)
        tab(R.id.tab_record)
        tab(R.id.tab_data)
        val rows = view<android.view.ViewGroup>(R.id.phrases)
        until("it is listed") { rows.childCount == 1 }
        assertEquals("aoife", rows.getChildAt(0).findViewById<TextView>(R.id.name).text.toString())
        rows.getChildAt(0).findViewById<android.view.View>(R.id.remove).performClick()
        until("it is gone") { rows.childCount == 0 }
    }

    @Test
    fun `a photo is no model`() {
        open(R.id.tab_data)
        choose("holiday.jpg" to { ByteArray(5000).inputStream() })
        refused(R.string.model_not_one)
    }

    @Test
    fun `a file with a model's name that is none is no model`() {
        open(R.id.tab_data)
        choose("a.tflite" to { ByteArray(5000).inputStream() }, "a.json" to { "{}".byteInputStream() })
        refused(R.string.model_not_one)
    }

    @Test
    fun `one of the two files is told to be missing`() {
        open(R.id.tab_data)
        choose(decoder.take(1))
        refused(R.string.model_incomplete)
    }

    @Test
    fun `a description alone, or of another name, is told to lack its model`() {
        open(R.id.tab_data)
        choose(decoder.drop(1))
        assertEquals(string(R.string.model_incomplete), text(R.id.model_message))
        view<TextView>(R.id.model_message).text = ""
        choose("other.tflite" to { decoder[0].inputStream() }, "decoder.json" to { decoder[1].inputStream() })
        refused(R.string.model_incomplete)
    }

    @Test
    fun `a model of a newer version is told to be too new`() {
        open(R.id.tab_data)
        val newer = decoder[1].readText().replaceFirst("\"format\": 2", "\"format\": 3")
        choose("decoder.tflite" to { decoder[0].inputStream() }, "decoder.json" to { newer.byteInputStream() })
        refused(R.string.model_too_new)
    }

    @Test
    fun `a model that was copied in part is told to be damaged`() {
        open(R.id.tab_data)
        val part = decoder[0].readBytes().let { it.copyOf(it.size / 2) }
        choose("decoder.tflite" to { part.inputStream() }, "decoder.json" to { decoder[1].inputStream() })
        refused(R.string.model_not_one)
    }

    @Test
    fun `a model that the runtime cannot load is told`() {
        open(R.id.tab_data)
        val file = ByteArray(5000)
        val digest = MessageDigest.getInstance("SHA-256").digest(file).joinToString("") { "%02x".format(it) }
        val described = decoder[1].readText() // in format 1, which has no digest of its own
            .replaceFirst(Regex("\"format\": 2,\\s+\"digest\": \"[0-9a-f]+\""), "\"format\": 1")
            .replaceFirst(Regex("\"tflite_sha256\": \"[0-9a-f]+\""), "\"tflite_sha256\": \"$digest\"")
        choose("decoder.tflite" to { file.inputStream() }, "decoder.json" to { described.byteInputStream() })
        refused(R.string.model_cannot_run)
    }

    @Test
    fun `access that was taken away is told`() {
        open(R.id.tab_data)
        choose(
            "decoder.tflite" to { throw SecurityException("no permission for this document any more") },
            "decoder.json" to { decoder[1].inputStream() },
        )
        refused(R.string.model_not_readable)
    }

    @Test
    fun `a file that was moved or breaks off is told`() {
        open(R.id.tab_data)
        for (error in listOf(FileNotFoundException("moved"), IOException("the card was taken out"))) {
            choose("decoder.tflite" to { throw error }, "decoder.json" to { decoder[1].inputStream() })
            assertEquals(string(R.string.model_not_readable), text(R.id.model_message))
            view<TextView>(R.id.model_message).text = ""
        }
    }

    @Test
    fun `a refused model leaves the one that was opened before`() {
        open(R.id.tab_data)
        choose(decoder)
        until("it is loaded") { engine.config!!.decoder != null }
        view<TextView>(R.id.model_message).text = ""
        choose("holiday.jpg" to { ByteArray(5).inputStream() })
        assertEquals(string(R.string.model_not_one), text(R.id.model_message))
        assertTrue(usesOpened())
        assertTrue(engine.config!!.decoder != null)
    }

    @Test
    fun `an opened model that is damaged later gives way to the app's own, and it is told`() {
        open(R.id.tab_data)
        choose(decoder)
        until("it is loaded") { engine.config!!.decoder != null }
        stored.resolve("opened/decoder.tflite").writeText("damaged")
        app.pause().stop().destroy()
        application.restart()
        open(R.id.tab_record)
        until("it is told") { text(R.id.message) == string(R.string.problem_opened_model) }
        assertTrue(engine.config!!.decoder == null)
    }

    @Test
    fun `choosing nothing changes nothing`() {
        open(R.id.tab_data)
        press(R.id.model_open)
        shadowOf(activity).receiveResult(shadowOf(activity).nextStartedActivityForResult.intent, Activity.RESULT_CANCELED, null)
        idle()
        assertEquals("", text(R.id.model_message))
    }
}
