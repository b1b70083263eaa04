package tfliteasr.demo

import java.io.File
import tfliteasr.android.ModelRuntime
import tfliteasr.android.SpeechEngine
import tfliteasr.jvm.LiteRtModel
import tfliteasr.personalization.Settings
import tfliteasr.runtime.SignatureModel

/** The TFLite library of this machine, behind the same interface as the one of a phone. */
object DesktopRuntime : ModelRuntime {
    override val version = "desktop"

    override fun open(path: File, threads: Int, signatures: Set<String>?): SignatureModel =
        LiteRtModel(path, threads, signatures)
}

/** The app with the library of this machine and short trainings. */
class TestApplication : DemoApplication() {
    private var living: Pair<SpeechEngine, Draft>? = null

    override val engine: SpeechEngine get() = alive().first
    override val draft: Draft get() = alive().second

    private fun alive() = living ?: (SpeechEngine(this, MODEL, DesktopRuntime, settings) to Draft()).also { living = it }

    /** Another process of the app: nothing is left but its files. */
    fun restart() {
        living?.first?.close()
        living = null
    }

    companion object {
        /** Of every test that says nothing else. Nothing is varied: each pass would validate 12 copies of each recording. */
        val QUICK = Settings(epochs = 2, epochSteps = 2, connect = 2, augment = false)

        /** Longer than any test takes. */
        val ENDLESS = QUICK.copy(epochs = 1000, patience = 1000)
        var settings = QUICK
    }
}
