package tfliteasr.demo

import android.app.Application
import android.content.ComponentCallbacks2
import tfliteasr.android.EngineOwner
import tfliteasr.android.SpeechEngine
import tfliteasr.personalization.StopReason

/** Holds what outlives screens. */
open class DemoApplication : Application(), EngineOwner {
    override val engine: SpeechEngine by lazy { SpeechEngine(this, MODEL) }
    open val draft = Draft()

    /** Phones before Android 14 tell here that memory runs low; on later ones the readings after each step have to do. */
    @Suppress("DEPRECATION")
    override fun onTrimMemory(level: Int) {
        super.onTrimMemory(level)
        // the screen going away alone is no want of memory
        if (level >= ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW && level != ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN) {
            engine.stop(StopReason.Kind.LOW_MEMORY)
        }
    }

    companion object {
        const val MODEL = "commands"
    }
}
