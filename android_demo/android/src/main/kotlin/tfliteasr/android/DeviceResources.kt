package tfliteasr.android

import android.app.ActivityManager
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.SystemClock
import tfliteasr.personalization.ResourceSource
import tfliteasr.personalization.Resources

/** What this phone has left; time by the clock that never goes back. */
class DeviceResources(private val context: Context) : ResourceSource {
    private val started = SystemClock.elapsedRealtime()
    private val activities = context.getSystemService(ActivityManager::class.java)

    override fun now(): Resources {
        val memory = ActivityManager.MemoryInfo().also(activities::getMemoryInfo)
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED)) // it is sticky
        val level = battery?.getIntExtra(BatteryManager.EXTRA_LEVEL, -1) ?: -1
        val scale = battery?.getIntExtra(BatteryManager.EXTRA_SCALE, 100) ?: 100
        val tenths = battery?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, UNKNOWN) ?: UNKNOWN
        return Resources(
            seconds = (SystemClock.elapsedRealtime() - started) / 1000.0,
            // the system begins to end apps at the threshold
            availableRamMb = (memory.availMem - memory.threshold).coerceAtLeast(0) / 1e6,
            batteryPercent = if (level < 0) null else 100.0 * level / scale,
            charging = (battery?.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) ?: 0) != 0,
            temperatureC = if (tenths == UNKNOWN) null else tenths / 10.0,
        )
    }

    private companion object {
        const val UNKNOWN = Int.MIN_VALUE
    }
}
