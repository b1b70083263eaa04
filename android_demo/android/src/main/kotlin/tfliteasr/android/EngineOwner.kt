package tfliteasr.android

/** The `Application` of an app: it holds the engine, which outlives screens and is what the night's training takes. */
interface EngineOwner {
    val engine: SpeechEngine
}
