package consumer

import android.app.Application
import android.content.Context
import tfliteasr.android.EngineOwner
import tfliteasr.android.NightSchedule
import tfliteasr.android.SpeechEngine
import tfliteasr.audio.Sound

/** What an app holds: one engine. */
class DictationApplication : Application(), EngineOwner {
    override val engine by lazy { SpeechEngine(this, "commands") }
}

/** Recognises what is said, keeps what was corrected, and learns from it at night. */
class Dictation(private val engine: SpeechEngine, context: Context) {
    init {
        NightSchedule(context).set(true)
    }

    fun hear(sound: Sound, tell: (String) -> Unit) = engine.listen(sound) { heard -> heard?.let { tell(it.after) } }

    fun teach(sound: Sound, text: String, done: (Boolean) -> Unit) = engine.keep(sound, text, done)
}
