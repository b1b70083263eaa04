package tfliteasr.demo

import android.content.Context
import android.os.Handler
import android.os.Looper
import android.util.Log
import java.io.File
import java.io.IOException
import java.util.concurrent.Executor
import java.util.concurrent.Executors
import java.util.concurrent.atomic.AtomicBoolean
import tfliteasr.InputError
import tfliteasr.StorageError
import tfliteasr.audio.Sound
import tfliteasr.data.Corpus
import tfliteasr.data.Recordings
import tfliteasr.data.Utterance
import tfliteasr.personalization.Budget
import tfliteasr.personalization.CHECKPOINT
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.RoundsTrainer
import tfliteasr.personalization.STATE
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Speech
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.ownerOf
import tfliteasr.personalization.readReplay
import tfliteasr.personalization.withHeardCase
import tfliteasr.runtime.ModelConfig
import tfliteasr.runtime.Recognizer

/**
 * The recogniser and what the owner taught it. It outlives screens, so a rotation stops nothing.
 *
 * All that touches the interpreter runs on one worker thread; recordings are kept and counted on another one, so that they
 * do not wait for a training to end. [state], [config] and the callbacks belong to the main thread.
 */
class Engine(private val context: Context) {
    val resources = DeviceResources(context)
    var state = TrainingState()
        private set
    var config: ModelConfig? = null // null until the model is loaded
        private set

    /** Called on the main thread whenever [state] or [config] is another one. */
    var onChange: () -> Unit = {}

    private val recordings = Recordings(context.noBackupFilesDir.resolve("recordings"))
    private val learned = context.noBackupFilesDir.resolve("learned")
    private val checkpoint = learned.resolve(CHECKPOINT)
    private val files = ModelFiles(context)
    private val calibration = DeviceCalibration(context, THREADS)
    private val worker = Executors.newSingleThreadExecutor { Thread(it, "interpreter") }
    private val keeper = Executors.newSingleThreadExecutor { Thread(it, "recordings") }
    private val main = Handler(Looper.getMainLooper())
    private var recognizer: Recognizer? = null // of the worker

    @Volatile
    private var asked: StopReason.Kind? = null

    init {
        worker.run(R.string.problem_model) {
            val loaded = files.artifact().config
            main.post {
                config = loaded
                onChange()
            }
        }
    }

    /** What is stored, told on the main thread. */
    fun stored(tell: (count: Int, bytes: Long, learnedBytes: Long) -> Unit) = keeper.run(R.string.problem_reading) {
        val (count, bytes, learnedBytes) = Triple(recordings.all().size, recordings.bytes(), checkpoint.length())
        main.post { tell(count, bytes, learnedBytes) }
    }

    /** Keep a recording; [done] is told whether that worked. */
    fun keep(sound: Sound, text: String, done: (Boolean) -> Unit) = keeper.run(R.string.problem_storage, { done(false) }) {
        recordings.keep(sound, text)
        main.post { done(true) }
    }

    /**
     * What the shipped model hears, and what it hears with what was learned; nulls when that did not work.
     *
     * @param tell also told whether it was the voice that was learned: for another one what was learned is not used.
     */
    fun listen(sound: Sound, tell: (before: String?, after: String?, ownVoice: Boolean) -> Unit) =
        worker.run(R.string.problem_listening, { tell(null, null, true) }) {
            val recognizer = recognizer()
            val after = recognizer.transcribe(sound.samples)
            val ownVoice = recognizer.hearsOwner(recognizer.features(sound.samples))
            val before = open().use { it.transcribe(sound.samples) }
            main.post { tell(before, after, ownVoice) }
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
                worker.run(R.string.problem_listening, { failed.set(true) }) {
                    val recognizer = recognizer()
                    val live = text?.takeIf { it.recognizer === recognizer } ?: LiveText(recognizer) // anew when that was closed
                    text = live
                    val pieces = synchronized(waiting) { waiting.toList().also { waiting.clear() } }
                    pieces.mapNotNull(live::accept).lastOrNull()?.let { main.post { tell(it) } }
                }
            }
        }
    }

    /** Train until it is done or stopped, if there is enough to train on; [done] is called on the main thread at the end. */
    fun train(limits: Limits, done: () -> Unit = {}) {
        if (state.running) return done()
        asked = null
        state = TrainingState(running = true)
        onChange()
        worker.run(R.string.problem_training, { ended(null, done) }) {
            val utterances = recordings.all()
            val reason = if (utterances.size >= LEAST_RECORDINGS) train(utterances, limits) else null
            main.post { ended(reason, done) }
        }
    }

    private fun ended(reason: StopReason.Kind?, done: () -> Unit) {
        state = state.copy(running = false, measuring = false, stopped = reason)
        onChange()
        done()
    }

    /**
     * One round over all recordings. What was begun with the same recordings is gone on with; with new ones, training begins anew
     * from what was learned.
     */
    private fun train(utterances: List<Utterance>, limits: Limits): StopReason.Kind = try {
        learned.mkdirs()
        val calibration = calibration.of(files.artifact()) {
            forget()
            change { it.copy(measuring = true) }
        }
        change { it.copy(measuring = false) }
        val recognizer = recognizer()
        val corpus = Corpus(utterances, recognizer.config, recognizer.labels)
        val speech = Speech(corpus, cased(corpus))
        val rounds = Rounds(1, resources, limits, calibration) { asked?.let { StopReason(it, "asked to stop") } }
        val replay = readReplay(recognizer.artifact)
        val trainer = RoundsTrainer(
            recognizer, speech.corpus, speech.utterances, SETTINGS, rounds, learned, replay, Progress(), anew = true,
        )
        val stopped = trainer.run().kind
        recognizer.owner = ownerOf(recognizer, speech)
        recognizer.save(checkpoint)
        stopped
    } catch (error: Exception) {
        forget() // weights in the middle of training; the checkpoint has the best
        throw error
    }

    /**
     * The recordings as a second pass that trains is to write them: cased as the shipped weights hear them, so that training that
     * is gone on with has the same texts.
     */
    private fun cased(corpus: Corpus): List<Utterance> =
        if (!corpus.config.trainsSecondPass) corpus.utterances
        else open().use { withHeardCase(it, corpus, corpus.utterances) }

    /** The next recogniser is a fresh one, with what the checkpoint holds, if there is one. */
    private fun forget() {
        recognizer?.close()
        recognizer = null
    }

    /** Ask the training to stop; it does at the end of its step. */
    fun stop(reason: StopReason.Kind) {
        asked = reason
    }

    /** Delete the recordings and what was learned; [done] is told whether nothing is left. */
    fun deleteAll(done: (Boolean) -> Unit) {
        stop(StopReason.Kind.ASKED)
        worker.run(R.string.problem_delete, { done(false) }) {
            if (learned.exists() && !learned.deleteRecursively()) throw InputError("$learned: could not be deleted whole")
            forget()
            change { TrainingState() }
            keeper.run(R.string.problem_delete, { done(false) }) {
                recordings.deleteAll()
                main.post { done(true) }
            }
        }
    }

    private inner class Progress : TrainingListener {
        override fun onRound(number: Int, chosen: Candidate, budget: Budget) =
            change { it.copy(chosen = chosen, budget = budget, reading = resources.now()) }

        override fun onStep(number: Int, steps: Int, loss: Float) =
            change { it.copy(step = number, steps = steps, loss = loss, reading = resources.now()) }

        override fun onEpoch(row: Epoch) = change { it.copy(history = it.history + row) }
    }

    /** The recogniser with what was learned. What cannot be read is set aside, so that it is not met again. */
    private fun recognizer(): Recognizer = recognizer ?: open().also { opened ->
        recognizer = opened
        if (!checkpoint.exists()) return@also
        try {
            opened.restore(checkpoint)
        } catch (error: InputError) {
            Log.w(TAG, error)
            checkpoint.renameTo(File(learned, "unreadable.safetensors"))
            learned.resolve(STATE).delete() // of training that led to it
            change { it.copy(problem = R.string.problem_checkpoint) }
        }
    }

    private fun open(): Recognizer = files.artifact().let { Recognizer(it, InterpreterModel(it.path, THREADS)) }

    /** Run on a thread; what goes wrong is shown as [problem], and [failed] called on the main thread. */
    private fun Executor.run(problem: Int, failed: () -> Unit = {}, block: () -> Unit) = execute {
        try {
            block()
        } catch (error: Exception) { // whatever it is, the app goes on and the owner is told
            Log.e(TAG, "failed", error)
            change { it.copy(problem = if (error is IOException || error is StorageError) forStorage(problem) else problem) }
            main.post(failed)
        }
    }

    /** What to say when it did not work for want of room. */
    private fun forStorage(problem: Int) = when (problem) {
        R.string.problem_model -> R.string.problem_room
        R.string.problem_training -> R.string.problem_learned_room
        else -> problem
    }

    private fun change(next: (TrainingState) -> TrainingState) {
        main.post {
            state = next(state)
            onChange()
        }
    }

    /** The owner has read it. */
    fun problemSeen() {
        state = state.copy(problem = null)
    }

    companion object {
        const val LEAST_RECORDINGS = 5

        /** When training is to stop: memory for other apps, a battery for the day, a phone that can be held. */
        val LIMITS = Limits(leastAvailableRamMb = 200.0, leastBatteryPercent = 30.0, mostTemperatureC = 42.0)

        private const val TAG = "Engine"
        private const val THREADS = 2
        private val SETTINGS = Settings(connect = 2) // all else as measured; a phone that runs low stops it earlier
    }
}
