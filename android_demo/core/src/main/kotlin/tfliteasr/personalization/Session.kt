package tfliteasr.personalization

import java.io.File
import java.io.IOException
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.StorageError
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.data.alignable
import tfliteasr.data.fittingClips
import tfliteasr.relativeReduction
import tfliteasr.runtime.Example
import tfliteasr.runtime.ExitPolicy
import tfliteasr.runtime.OwnerVoice
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.evaluateTranscripts
import tfliteasr.runtime.examplesOf
import tfliteasr.runtime.learnOwner
import tfliteasr.runtime.watchingMemory
import tfliteasr.writeTextAtomically

private const val PROBE_MILLIS = 100L

/** Speech, and which of its utterances. */
class Speech(val corpus: Corpus, val utterances: List<Utterance>)

/** What training did, for the result, and where the encoder is left now. */
private class Trained(val told: Map<String, Any?>, val policy: ExitPolicy?)

/**
 * Personalise and write [CHECKPOINT] and `result.json` into [folder]: measure, train, measure again.
 *
 * @param recognizer trained in place.
 * @param heard the speech to learn from; utterances that cannot be aligned are named to the listener and left out.
 * @param test the speech to measure on; joined by `settings.connect` as the training speech is.
 * @param folder made if need be. From the first epoch on it holds a checkpoint, at first that of an earlier run if there is
 *     one, then the best weights so far.
 * @param pace train as utterances come, in their order, and keep no more than a window of them, in `folder/window`; null: in
 *     epochs over all of them.
 * @param rounds train in epochs over what has come, round after round, each with what the selector chooses; not with [pace].
 * @return what result.json holds.
 */
fun runSession(
    recognizer: Recognizer,
    heard: Speech,
    test: Speech,
    settings: Settings,
    folder: File,
    pace: Pace? = null,
    rounds: Rounds? = null,
    listener: TrainingListener = object : TrainingListener {},
): Map<String, Any?> {
    recognizer.plan(settings.plan) // InputError now if there is none
    val alignable = alignable(heard.corpus, heard.utterances)
    alignable.notice?.let(listener::onNotice)
    val adapt = Speech(heard.corpus, withHeardCase(recognizer, heard.corpus, alignable.kept))
    val clips = fittingClips(test.corpus, test.utterances, settings.connect, settings.seed, recognizer.config.maxSeconds)
    val examples = examplesOf(recognizer, test.corpus, clips)
    val replay = readReplay(recognizer.artifact)
    if (!folder.isDirectory && !folder.mkdirs()) throw InputError("$folder: expected a folder to write into; it cannot be made")
    val checkpoint = folder.resolve(CHECKPOINT)
    val (measured, peakPrivateMb) = watchingMemory(PROBE_MILLIS) {
        val before = evaluateTranscripts(recognizer, examples)
        recognizer.owner = null // of an earlier run; while training, everything is heard with what is learned
        val saving = Saving(recognizer, checkpoint, listener)
        val trained = when {
            rounds != null -> {
                val (corpus, utterances) = adapt.corpus to adapt.utterances
                inRounds(RoundsTrainer(recognizer, corpus, utterances, settings, rounds, folder, replay, listener), examples, recognizer)
            }
            pace != null -> Trained(told(hearAll(recognizer, adapt, settings, pace, folder, replay, saving)), null)
            else -> Trained(told(personalize(recognizer, adapt.corpus, adapt.utterances, settings, replay, saving)), null)
        }
        recognizer.owner = ownerOf(recognizer, adapt)
        Triple(before, trained, evaluateTranscripts(recognizer, examples, trained.policy))
    }
    recognizer.save(checkpoint)
    val (before, trained, after) = measured
    val result = mapOf(
        "model" to recognizer.artifact.path.path,
        "checkpoint" to checkpoint.path,
        "wer_before" to before.rates.wer,
        "wer_after" to after.rates.wer,
        "cer_before" to before.rates.cer,
        "cer_after" to after.rates.cer,
        "relative_wer_reduction" to relativeReduction(before.rates.wer, after.rates.wer),
    ) + trained.told + mapOf(
        "peak_private_mb" to peakPrivateMb,
        "owner_voice" to (recognizer.owner != null),
        "test_utterances_of_owner" to after.ownerUtterances,
        "skipped_updates" to recognizer.skippedUpdates,
        "adapt_utterances" to adapt.utterances.size,
        "left_out_utterances" to alignable.leftOut.size,
        "test_utterances" to examples.size,
        "pairs" to before.references.indices.map {
            mapOf("reference" to before.references[it], "before" to before.hypotheses[it], "after" to after.hypotheses[it])
        },
    )
    write(folder.resolve("result.json"), result)
    return result
}

/** The voice that the weights were trained on. */
fun ownerOf(recognizer: Recognizer, adapt: Speech): OwnerVoice? = recognizer.background?.let { background ->
    learnOwner(background, adapt.utterances.map { recognizer.features(adapt.corpus.samples(it)) })
}

/** The best weights go to disk as soon as they are. */
private class Saving(
    private val recognizer: Recognizer,
    private val checkpoint: File,
    private val listener: TrainingListener,
) : TrainingListener by listener {
    override fun onEpoch(row: Epoch) {
        if (row.best && (row.epoch > 0 || !checkpoint.exists())) recognizer.save(checkpoint)
        listener.onEpoch(row)
    }
}

/** Train on the utterances one after the other. */
private fun hearAll(
    recognizer: Recognizer,
    adapt: Speech,
    settings: Settings,
    pace: Pace,
    folder: File,
    replay: List<Example>,
    listener: TrainingListener,
): Outcome {
    val window = Window(folder.resolve("window"), recognizer.artifact, pace.window, pace.windowBytes)
    window.forgetAll() // what an earlier run left may be another person's
    val trainer = StreamTrainer(recognizer, window, settings, pace, replay, listener)
    for (utterance in adapt.utterances) {
        trainer.hear(recognizer.example(adapt.corpus.samples(utterance), utterance.text, utterance.where))
    }
    trainer.finish()
    return trainer.outcome(StopReason(StopReason.Kind.ALL_HEARD, "all ${adapt.utterances.size} utterances heard"))
}

/** All rounds that the device has to spare for. */
private fun inRounds(trainer: RoundsTrainer, test: List<Example>, recognizer: Recognizer): Trained {
    val stopped = trainer.run { mapOf("test_wer" to evaluateTranscripts(recognizer, test, trainer.policy).rates.wer) }
    val history = trainer.history()
    val told = mapOf(
        "steps" to trainer.done.sumOf { it.steps },
        "epochs" to (history.maxOfOrNull { it.epoch } ?: 0),
        "seconds" to trainer.done.sumOf { it.seconds },
        "stopped_because" to stopped.text,
        "finished" to trainer.finished,
        "history" to history.map { it.toJson() },
        "rounds" to trainer.done.map(RoundsState::roundJson),
        "resources" to trainer.readings.map { it.toJson() },
    )
    return Trained(told, trainer.policy)
}

private fun told(outcome: Outcome): Map<String, Any?> = mapOf(
    "steps" to outcome.steps,
    "epochs" to maxOf(0, outcome.history.size - 1),
    "seconds" to outcome.seconds,
    "stopped_because" to outcome.stoppedBecause.text,
    "history" to outcome.history.map { it.toJson() },
)

private fun write(path: File, result: Map<String, Any?>) = try {
    writeTextAtomically(path, Json.write(result) + "\n")
} catch (error: IOException) {
    throw StorageError("$path: could not be written (${error.message}); is the storage full?", error)
}
