package tfliteasr.demo

import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import java.io.File
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.annotation.Config

/** Draws the four screens in use; `-Dscreenshots=FOLDER` writes them there. */
@Config(qualifiers = "en-rUS-w360dp-h740dp-port-hdpi")
class ScreenshotTest : ScreenTest() {
    @Test
    fun light() = drawAll("light")

    @Test
    @Config(qualifiers = "+night")
    fun dark() = drawAll("dark")

    private fun drawAll(theme: String) {
        TestApplication.settings = TestApplication.QUICK.copy(epochs = 5, epochSteps = 6, connect = 1)
        open(R.id.tab_record)
        keep(6)
        tab(R.id.tab_record)
        until("they are counted") { text(R.id.kept).startsWith("6") }
        say(Speech.samples(0))
        draw("record", theme)
        tab(R.id.tab_train)
        begin()
        until("there is a curve") { engine.state.history.size > 4 || !engine.state.running }
        draw("train", theme)
        until("the training ends") { !engine.state.running }
        tab(R.id.tab_listen)
        listen(Speech.samples(0) + ShortArray(4000) + Speech.samples(1))
        draw("listen", theme)
        var added = false
        engine.addPhrase("Sheila") { added = it }
        until("a name is there") { added }
        tab(R.id.tab_data)
        until("it is counted") { text(R.id.recordings).isNotEmpty() && !isShown(R.id.phrases_none) }
        draw("data", theme)
    }

    private fun draw(screen: String, theme: String) {
        idle()
        val window: View = activity.window.decorView
        window.jumpDrawablesToCurrentState() // a choice that was just made is not half drawn
        val bitmap = Bitmap.createBitmap(window.width, window.height, Bitmap.Config.ARGB_8888)
        window.draw(Canvas(bitmap))
        val colors = (0 until bitmap.height step 5).flatMap { y -> (0 until bitmap.width step 5).map { bitmap.getPixel(it, y) } }
        assertTrue("$screen is drawn", colors.toSet().size > 10)
        val folder = System.getProperty("screenshots").orEmpty()
        if (folder.isNotEmpty()) {
            val file = File(folder, "$screen-$theme.png").also { it.parentFile.mkdirs() }
            file.outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        }
    }
}
