package tfliteasr.demo

import android.content.res.Configuration
import android.view.View
import android.view.ViewGroup
import android.view.WindowInsets
import android.view.accessibility.AccessibilityManager
import android.widget.Button
import android.widget.EditText
import android.widget.ImageView
import android.widget.ProgressBar
import android.widget.RadioButton
import android.widget.Switch
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.util.ReflectionHelpers
import org.robolectric.util.ReflectionHelpers.ClassParameter

/** The screens in the dark, in large letters, from right to left, and for somebody who does not see them. */
class LooksTest : ScreenTest() {
    private val tabs = listOf(R.id.tab_record, R.id.tab_train, R.id.tab_listen, R.id.tab_data)

    private fun views(root: View): List<View> =
        listOf(root) + if (root is ViewGroup) (0 until root.childCount).flatMap { views(root.getChildAt(it)) } else emptyList()

    private fun shown() = views(activity.findViewById(android.R.id.content)).filter { it.isShown }

    /** Each screen with all that it can show: a recording, what was heard, a name. */
    private fun onEachScreen(check: (View) -> Unit) {
        open(R.id.tab_data)
        var added = false
        engine.addPhrase("Sheila") { added = it }
        until("a name is there") { added }
        tab(R.id.tab_listen)
        listen(1)
        tab(R.id.tab_record)
        say(Speech.samples(0))
        for (tab in tabs) {
            tab(tab)
            if (tab == R.id.tab_data) until("the name is listed") { view<ViewGroup>(R.id.phrases).childCount == 1 }
            shown().forEach(check)
        }
    }

    private fun name(view: View) = if (view.id == View.NO_ID) "$view" else application.resources.getResourceEntryName(view.id)

    @Test
    fun `every control says what it is`() {
        var controls = 0
        onEachScreen { view ->
            val hidden = view.importantForAccessibility == View.IMPORTANT_FOR_ACCESSIBILITY_NO
            val control = view.isClickable || view is ProgressBar || view is ImageView || view is CurveView || view is EditText
            if (control && !hidden) {
                val words = listOf(view.contentDescription, (view as? TextView)?.text, (view as? TextView)?.hint)
                assertTrue("${name(view)} has no label", words.any { !it.isNullOrBlank() })
                controls++
            }
        }
        assertTrue("$controls controls", controls > 25)
    }

    @Test
    fun `every control is large enough for a finger`() = onEachScreen { view ->
        if (view is Button || view is EditText) {
            val least = (48 * view.resources.displayMetrics.density).toInt()
            assertTrue("${name(view)} is ${view.height} high", view.height >= least && view.width >= least)
        }
    }

    @Test
    fun `letters twice as large are not cut off`() {
        RuntimeEnvironment.setFontScale(2f)
        onEachScreen { view ->
            if (view is TextView && view.layout != null) {
                val needed = view.layout.height + view.paddingTop + view.paddingBottom
                assertTrue("${name(view)} '${view.text}' needs $needed of ${view.height}", view.height >= needed)
                for (line in 0 until view.layout.lineCount) {
                    assertEquals("${name(view)} '${view.text}'", 0, view.layout.getEllipsisCount(line))
                }
                if (view is Button) assertTrue("${name(view)} '${view.text}' breaks within a word", breaksBetweenWords(view))
            }
        }
    }

    private fun breaksBetweenWords(view: TextView): Boolean = (0 until view.layout.lineCount - 1).all { line ->
        view.layout.getLineEnd(line).let { it == 0 || view.text[it - 1].isWhitespace() }
    }

    @Test
    @Config(qualifiers = "ar-rEG-ldrtl-w411dp-h891dp-port-xhdpi")
    fun `from right to left the first tab is on the right`() {
        onEachScreen { assertEquals(name(it), View.LAYOUT_DIRECTION_RTL, it.layoutDirection) }
        assertTrue(view<View>(R.id.tab_record).left > view<View>(R.id.tab_data).left)
    }

    @Test
    fun `in the light, text stands out`() = onEachScreen(::contrasts)

    @Test
    @Config(qualifiers = "+night")
    fun `in the dark, text stands out`() {
        onEachScreen(::contrasts)
        val night = activity.resources.configuration.uiMode and Configuration.UI_MODE_NIGHT_MASK
        assertEquals(Configuration.UI_MODE_NIGHT_YES, night)
        assertTrue("the background is dark", luminance(background()) < 0.1)
    }

    /** WCAG's 4.5 to 1 for text, against the window's background; a button has its own. */
    private fun contrasts(view: View) {
        if (view !is TextView || view is Button && view !is RadioButton && view !is Switch || !view.isEnabled) return
        val (one, other) = luminance(view.currentTextColor) to luminance(background())
        val contrast = (maxOf(one, other) + 0.05) / (minOf(one, other) + 0.05)
        assertTrue("${name(view)} '${view.text}': contrast $contrast", view.text.isEmpty() || contrast >= 4.5)
    }

    private fun background(): Int = activity.theme.obtainStyledAttributes(intArrayOf(android.R.attr.colorBackground)).run {
        getColor(0, 0).also { recycle() }
    }

    /** Over the background, for text that is not opaque. */
    private fun luminance(color: Int): Double {
        val (alpha, under) = (color ushr 24) / 255.0 to if (color ushr 24 == 255) color else background()
        fun channel(shift: Int): Double {
            val mixed = alpha * (color shr shift and 255) + (1 - alpha) * (under shr shift and 255)
            return (mixed / 255).let { if (it <= 0.03928) it / 12.92 else Math.pow((it + 0.055) / 1.055, 2.4) }
        }
        return 0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    @Test
    fun `nothing lies under the bars of the system or under the keyboard`() {
        open()
        val root = activity.findViewById<ViewGroup>(android.R.id.content).getChildAt(0)
        root.dispatchApplyWindowInsets(insets(10, 63, 20, 400))
        assertEquals(listOf(10, 63, 20, 400), listOf(root.paddingLeft, root.paddingTop, root.paddingRight, root.paddingBottom))
    }

    /** The builder is of Android 10, and Maven compiles against the classes of Android 8. */
    private fun insets(vararg sides: Int): WindowInsets {
        val ints = Array(4) { ClassParameter.from(Int::class.javaPrimitiveType, sides[it]) }
        val type = Class.forName("android.graphics.Insets")
        val made = ReflectionHelpers.callStaticMethod<Any>(type, "of", *ints)
        val builder = ReflectionHelpers.callConstructor(Class.forName("android.view.WindowInsets\$Builder"))
        ReflectionHelpers.callInstanceMethod<Any>(builder, "setSystemWindowInsets", ClassParameter(type, made))
        return ReflectionHelpers.callInstanceMethod(builder, "build")
    }

    @Test
    fun `with a screen reader a double tap starts a recording and another one stops it`() {
        open()
        shadowOf(application.getSystemService(AccessibilityManager::class.java)).setTouchExplorationEnabled(true)
        app.recreate()
        val button = view<Button>(R.id.hold)
        assertEquals(string(R.string.record_tap_to_start), button.contentDescription)
        val microphone = FakeMicrophone.says(Speech.samples(0))
        button.performClick()
        assertEquals(string(R.string.record_tap_to_stop), button.contentDescription)
        until("all is recorded") { microphone.drained }
        button.performClick()
        until("it can be kept") { isShown(R.id.review) }
        assertEquals(string(R.string.record_tap_to_start), button.contentDescription)
    }

    @Test
    fun `messages are read out when they come`() = onEachScreen { view ->
        if (view.id == R.id.message || view.id == R.id.model_message) {
            assertFalse(view.accessibilityLiveRegion == View.ACCESSIBILITY_LIVE_REGION_NONE)
        }
    }
}
