package tfliteasr.android

import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.personalization.Limits
import tfliteasr.personalization.ResourceSource
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.RoundsTrainer
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Speech
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.ownerOf
import tfliteasr.personalization.readReplay
import tfliteasr.personalization.withHeardCase

/**
 * One round over all recordings. What was begun with the same recordings is gone on with; with new ones, training begins anew
 * from what was learned.
 *
 * @param onMeasure told when it is measured what training takes on this phone, and when that is over.
 * @param asked why to stop, asked after each step; null: go on.
 */
internal class Training(
    private val learned: Learned,
    private val store: ModelStore,
    private val calibration: DeviceCalibration,
    private val resources: ResourceSource,
    private val settings: Settings,
    private val listener: TrainingListener,
    private val onMeasure: (Boolean) -> Unit,
    private val asked: () -> StopReason.Kind?,
) {
    /** Why it ended; the recogniser has the best weights afterwards, and the checkpoint too. */
    fun run(utterances: List<Utterance>, limits: Limits): StopReason.Kind = try {
        asked() ?: trained(utterances, limits)
    } catch (error: Exception) {
        learned.close() // weights in the middle of training; the checkpoint has the best
        throw error
    }

    private fun trained(utterances: List<Utterance>, limits: Limits): StopReason.Kind {
        val calibration = calibration.of(store.artifact()) {
            learned.close() // no other interpreter while memory is measured
            onMeasure(true)
        }
        onMeasure(false)
        val recognizer = learned.recognizer()
        val corpus = Corpus(utterances, recognizer.config, recognizer.labels)
        val speech = Speech(corpus, cased(corpus))
        val rounds = Rounds(1, resources, limits, calibration) { asked()?.let { StopReason(it, "asked to stop") } }
        val (folder, replay) = learned.folder(recognizer.artifact) to readReplay(recognizer.artifact)
        val owner = recognizer.owner ?: ownerOf(recognizer, speech) // before, so that a training that is told to stop does at once
        val trainer = RoundsTrainer(
            recognizer, speech.corpus, speech.utterances, settings, rounds, folder, replay, listener, anew = true,
        )
        val stopped = trainer.run().kind
        recognizer.owner = if (trainer.finished) ownerOf(recognizer, speech) else owner
        learned.save()
        return stopped
    }

    /**
     * The recordings as a second pass that trains is to write them: cased as the shipped weights hear them, so that training that
     * is gone on with has the same texts.
     */
    private fun cased(corpus: Corpus): List<Utterance> =
        if (!corpus.config.trainsSecondPass) corpus.utterances
        else learned.open().use { withHeardCase(it, corpus, corpus.utterances) }
}
