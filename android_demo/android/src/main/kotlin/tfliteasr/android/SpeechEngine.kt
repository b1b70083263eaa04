package tfliteasr.android

import android.content.Context
import android.net.Uri
import android.os.Handler
import android.os.Looper
import android.util.Log
import java.io.IOException
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.audio.Sound
import tfliteasr.data.Recordings
import tfliteasr.personalization.Budget
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Settings
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.TrainingListener
import tfliteasr.runtime.Correction
import tfliteasr.runtime.ModelConfig
import tfliteasr.runtime.Word

/** What an engine stores of its owner. */
class Stored(val recordings: Int, val recordingBytes: Long, val learnedBytes: Long)

/**
 * What is heard in a recording.
 *
 * @property before with the weights that were shipped, [after] with those that were learned; [words] are those of [after].
 * @property ownVoice whether it was the voice that was learned: for another one, what was learned is not used.
 */
class Transcripts(val before: String, val after: String, val words: List<Word>, val ownVoice: Boolean)

/** The models that can be used. */
class Models(val shipped: String, val opened: String?, val usesOpened: Boolean)

/**
 * A recogniser and what its owner taught it. One an app: it outlives screens, so a rotation stops nothing.
 *
 * All that touches the interpreter runs on one worker thread; recordings are kept and counted on another one, so that they
 * do not wait for a training to end. [state], [config] and the callbacks belong to the main thread.
 *
 * @param shipped the name of the model among the app's assets.
 * @param settings how to train; a phone that runs low stops it earlier.
 * @param limits when training is to stop: memory for other apps, a battery for the day, a phone that can be held.
 */
class SpeechEngine(
    context: Context,
    shipped: String,
    private val runtime: ModelRuntime = InterpreterRuntime,
    private val settings: Settings = Settings(connect = 2),
    val limits: Limits = Limits(leastAvailableRamMb = 200.0, leastBatteryPercent = 30.0, mostTemperatureC = 42.0),
) : AutoCloseable {
    val resources = DeviceResources(context)
    var state = TrainingState()
        private set

    /** Of the model that is used; null until it is loaded. */
    var config: ModelConfig? = null
        private set

    /** Called on the main thread whenever [state] or [config] is another one. */
    var onChange: () -> Unit = {}

    private val recordings = Recordings(context.noBackupFilesDir.resolve("recordings"))
    private val store = ModelStore(context, runtime, shipped)
    private val calibration = DeviceCalibration(context, runtime, THREADS)
    private val learned = Learned(context, store, runtime, THREADS) { change { it.copy(problem = Problem.CHECKPOINT) } }
    private val worker = Executors.newSingleThreadExecutor { Thread(it, "interpreter") }
    private val keeper = Executors.newSingleThreadExecutor { Thread(it, "recordings") }
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var asked: StopReason.Kind? = null

    init {
        load()
    }

    /** The model's [config]; an opened model that cannot be read any more gives way to the shipped one. */
    private fun load() = worker.run(Problem.MODEL) {
        val artifact = try {
            store.artifact()
        } catch (error: InputError) {
            if (!store.usesOpened) throw error
            Log.w(TAG, error)
            store.usesOpened = false
            change { it.copy(problem = Problem.OPENED_MODEL) }
            store.artifact()
        }
        post {
            config = artifact.config
            onChange()
        }
    }

    /** What is stored, told on the main thread. */
    fun stored(tell: (Stored) -> Unit) = keeper.run(Problem.READING) {
        val stored = Stored(recordings.all().size, recordings.bytes(), learned.bytes())
        post { tell(stored) }
    }

    /** Keep a recording; [done] is told whether that worked. */
    fun keep(sound: Sound, text: String, done: (Boolean) -> Unit) = keeper.run(Problem.STORAGE, { done(false) }) {
        recordings.keep(sound, text)
        post { done(true) }
    }

    /** What the shipped model hears, and what it hears with what was learned; null when that did not work. */
    fun listen(sound: Sound, tell: (Transcripts?) -> Unit) = worker.run(Problem.LISTENING, { tell(null) }) {
        val recognizer = learned.recognizer()
        val frames = recognizer.features(sound.samples)
        val after = recognizer.transcribe(sound.samples)
        val words = recognizer.timedWords(frames, after, sound.samples)
        val before = learned.open().use { it.transcribe(sound.samples) }
        val heard = Transcripts(before, after, words, recognizer.hearsOwner(frames))
        post { tell(heard) }
    }

    /**
     * Live text of a recording.
     *
     * @param tell told the text so far, with what was learned.
     * @return takes the recording's samples as they come, on any thread.
     */
    fun live(tell: (String) -> Unit): (FloatArray) -> Unit {
        var text: LiveText? = null // of the worker
        val waiting = ArrayList<FloatArray>() // until the worker has time: one job takes all of them
        val failed = AtomicBoolean()
        return { samples ->
            val first = synchronized(waiting) { waiting.add(samples) && waiting.size == 1 }
            if (first && !failed.get()) {
                worker.run(Problem.LISTENING, { failed.set(true) }) {
                    val recognizer = learned.recognizer()
                    val live = text?.takeIf { it.recognizer === recognizer } ?: LiveText(recognizer) // anew when that was closed
                    text = live
                    val pieces = synchronized(waiting) { waiting.toList().also { waiting.clear() } }
                    pieces.mapNotNull(live::accept).lastOrNull()?.let { post { tell(it) } }
                }
            }
        }
    }

    /**
     * Take a correction: a recording says [text], and [heard] was written. It is kept as a recording, from which the next
     * training learns; names in it are expected from now on, see [phrases].
     */
    fun correct(sound: Sound, text: String, heard: String, tell: (CorrectionResult) -> Unit) {
        val told = { result: CorrectionResult -> post { tell(result) } }
        val failed = { tell(CorrectionResult.NOT_STORED) }
        worker.run(Problem.STORAGE, failed) {
            when (val taught = if (sameWords(text, heard)) null else taught(sound, text.trim(), heard)) {
                null -> told(if (sameWords(text, heard)) CorrectionResult.NOTHING_TO_CORRECT else CorrectionResult.DOES_NOT_FIT)
                else -> keeper.run(Problem.STORAGE, failed) {
                    recordings.keep(sound, taught.example.text)
                    told(CorrectionResult.KEPT)
                }
            }
        }
    }

    /** The recogniser takes a correction; null where it refuses. */
    private fun taught(sound: Sound, text: String, heard: String): Correction? = try {
        learned.recognizer().correct(sound.samples, text, heard).also { if (it.learned.isNotEmpty()) learned.save() }
    } catch (error: StorageError) {
        throw error
    } catch (error: InputError) {
        Log.i(TAG, "correction refused", error)
        null
    }

    private fun sameWords(one: String, other: String): Boolean {
        fun words(text: String) = text.trim().lowercase().split(Regex("\\s+"))
        return words(one) == words(other)
    }

    /** Names that the recogniser expects, told on the main thread. */
    fun phrases(tell: (List<String>) -> Unit) = worker.run(Problem.READING) {
        val known = learned.recognizer().learnedPhrases
        post { tell(known) }
    }

    /** Expect a name from now on; [done] is told whether the model can spell it. */
    fun addPhrase(phrase: String, done: (Boolean) -> Unit) = changePhrases(done) { it + phrase.trim() }

    /** Expect a name no longer. */
    fun deletePhrase(phrase: String, done: (Boolean) -> Unit) = changePhrases(done) { it - phrase }

    private fun changePhrases(done: (Boolean) -> Unit, next: (List<String>) -> List<String>) =
        worker.run(Problem.LEARNED_ROOM, { done(false) }) {
            val recognizer = learned.recognizer()
            val taken = try {
                recognizer.learnedPhrases = next(recognizer.learnedPhrases)
                true
            } catch (error: InputError) {
                Log.i(TAG, "phrase refused", error)
                false
            }
            if (taken) learned.save()
            post { done(taken) }
        }

    /** The models that can be used, told on the main thread. */
    fun models(tell: (Models) -> Unit) = keeper.run(Problem.READING) {
        val models = Models(store.shipped, store.openedName, store.usesOpened)
        post { tell(models) }
    }

    /** Copy, check and use the files of a model: NAME.tflite, NAME.json and, if there is one, NAME.replay.safetensors. */
    fun openModel(documents: List<Uri>, tell: (Opening) -> Unit) = worker.run(Problem.READING, { tell(Opening.NOT_READABLE) }) {
        val opening = store.open(documents)
        if (opening == Opening.OPENED) changeModel()
        post { tell(opening) }
    }

    /** Use the model that was opened, or the shipped one. */
    fun useModel(opened: Boolean, done: () -> Unit) = worker.run(Problem.MODEL, done) {
        store.usesOpened = opened
        changeModel()
        post(done)
    }

    private fun changeModel() {
        learned.close()
        change { TrainingState() }
        load()
    }

    /** Train until it is done or stopped, if there is enough to train on; [done] is called on the main thread at the end. */
    fun train(limits: Limits = this.limits, done: () -> Unit = {}) {
        if (state.running) return done()
        asked = null
        state = TrainingState(running = true)
        onChange()
        val measuring = { now: Boolean -> change { it.copy(measuring = now) } }
        val training = Training(learned, store, calibration, resources, settings, Progress(), measuring) { asked }
        worker.run(Problem.TRAINING, { ended(null, done) }) {
            val utterances = recordings.all()
            val reason = if (utterances.size >= LEAST_RECORDINGS) training.run(utterances, limits) else null
            post { ended(reason, done) }
        }
    }

    private fun ended(reason: StopReason.Kind?, done: () -> Unit) {
        state = state.copy(running = false, measuring = false, stopped = reason)
        onChange()
        done()
    }

    /** Ask the training to stop; it does at the end of its step. */
    fun stop(reason: StopReason.Kind) {
        asked = reason
    }

    /** Delete the recordings and what was learned; [done] is told whether nothing is left. */
    fun deleteAll(done: (Boolean) -> Unit) {
        stop(StopReason.Kind.ASKED)
        worker.run(Problem.DELETE, { done(false) }) {
            learned.delete()
            change { TrainingState() }
            keeper.run(Problem.DELETE, { done(false) }) {
                recordings.deleteAll()
                post { done(true) }
            }
        }
    }

    /** Stop what is done and let go of the model; the engine is not used afterwards. An app that holds one need not close it. */
    override fun close() {
        stop(StopReason.Kind.ASKED)
        worker.execute { learned.close() }
        worker.shutdown()
        keeper.shutdown()
    }

    private inner class Progress : TrainingListener {
        override fun onRound(number: Int, chosen: Candidate, budget: Budget) =
            change { it.copy(chosen = chosen, budget = budget, reading = resources.now()) }

        override fun onStep(number: Int, steps: Int, loss: Float) =
            change { it.copy(step = number, steps = steps, loss = loss, reading = resources.now()) }

        override fun onEpoch(row: Epoch) = change { it.copy(history = it.history + row) }
    }

    private fun post(block: () -> Unit) {
        main.post(block)
    }

    /** Run on a thread; what goes wrong is shown as [problem], and [failed] called on the main thread. */
    private fun Executor.run(problem: Problem, failed: () -> Unit = {}, block: () -> Unit) = execute {
        try {
            block()
        } catch (error: Exception) { // whatever it is, the app goes on and the owner is told
            Log.e(TAG, "failed", error)
            change { it.copy(problem = if (error is IOException || error is StorageError) forStorage(problem) else problem) }
            post(failed)
        }
    }

    /** What to say when it did not work for want of room. */
    private fun forStorage(problem: Problem) = when (problem) {
        Problem.MODEL -> Problem.MODEL_ROOM
        Problem.TRAINING -> Problem.LEARNED_ROOM
        else -> problem
    }

    private fun change(next: (TrainingState) -> TrainingState) {
        post {
            state = next(state)
            onChange()
        }
    }

    /** The owner has read it. */
    fun problemSeen() {
        state = state.copy(problem = null)
    }

    companion object {
        /** Fewer recordings than this are not trained on. */
        const val LEAST_RECORDINGS = 5

        private const val TAG = "SpeechEngine"
        private const val THREADS = 2
    }
}
