package tfliteasr.demo

import android.Manifest
import android.content.pm.PackageManager
import android.view.View
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf

class PermissionTest : ScreenTest() {
    private val microphone = arrayOf(Manifest.permission.RECORD_AUDIO)

    private fun answer(granted: Boolean) {
        val result = if (granted) PackageManager.PERMISSION_GRANTED else PackageManager.PERMISSION_DENIED
        shadowOf(application).run { if (granted) grantPermissions(*microphone) else denyPermissions(*microphone) }
        activity.onRequestPermissionsResult(0, microphone, intArrayOf(result))
        idle()
    }

    @Test
    fun `without it the app says why it asks, and asks when it is told to`() {
        shadowOf(application).denyPermissions(*microphone)
        for (tab in listOf(R.id.tab_record, R.id.tab_listen)) {
            open(tab)
            assertFalse(view<View>(R.id.hold).isEnabled)
            assertEquals(string(R.string.record_permission), text(R.id.message))
            press(R.id.allow)
            assertArrayEquals(microphone, shadowOf(activity).lastRequestedPermission.requestedPermissions)
        }
    }

    @Test
    fun `refused, it says where it can be allowed`() {
        shadowOf(application).denyPermissions(*microphone)
        open()
        press(R.id.allow)
        answer(granted = false)
        assertFalse(view<View>(R.id.hold).isEnabled)
        assertEquals(string(R.string.record_permission_refused), text(R.id.message))
    }

    @Test
    fun `granted after all, recording works and nothing is left of the message`() {
        shadowOf(application).denyPermissions(*microphone)
        open()
        press(R.id.allow)
        answer(granted = false)
        answer(granted = true)
        assertFalse(isShown(R.id.allow))
        assertEquals("", text(R.id.message))
        say(Speech.samples(0))
        assertTrue(isShown(R.id.review))
    }

    @Test
    fun `granted at once, nothing is left of the message`() {
        shadowOf(application).denyPermissions(*microphone)
        open()
        press(R.id.allow)
        answer(granted = true)
        assertEquals("", text(R.id.message))
    }

    @Test
    fun `taken away while the app is away, it is asked for again`() {
        open()
        app.pause().stop()
        shadowOf(application).denyPermissions(*microphone)
        app.restart().start().resume()
        idle()
        assertFalse(view<View>(R.id.hold).isEnabled)
        assertTrue(isShown(R.id.allow))
        assertEquals(string(R.string.record_permission), text(R.id.message))
    }
}
