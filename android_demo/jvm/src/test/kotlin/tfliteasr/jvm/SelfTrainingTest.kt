package tfliteasr.jvm

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.personalization.PseudoLabelRules
import tfliteasr.personalization.Refusal
import tfliteasr.personalization.SelfTrainer
import tfliteasr.personalization.SelfTraining
import tfliteasr.personalization.Settings
import tfliteasr.personalization.pseudoLabels
import tfliteasr.personalization.readReplay

/** Speech without transcripts is labelled and learned from as Python does (vectors/of_self_training.py). */
class SelfTrainingTest {
    private val vectors = Shipped.vectors("self_training")
    private val settings = vectors.at("settings").let {
        Settings(
            connect = it.int("connect"),
            epochSteps = it.int("epoch_steps"),
            validationShare = it.double("validation_share"),
            leastToHoldOut = it.int("least_to_hold_out"),
            seed = it.int("seed"),
        )
    }

    private fun rules(row: JsonObject) = PseudoLabelRules(row.double("confidence"), row.int("views"))

    /** By Python's words; without reasons that did not occur. */
    private fun counts(row: JsonObject): Map<String, Int> =
        Refusal.entries.filter { it.text in row }.associate { it.text to row.int(it.text) }

    private fun counts(refused: Map<Refusal, Int>): Map<String, Int> = refused.mapKeys { it.key.text }

    @Test
    fun `the same is heard, kept and refused`() = Shipped.recognizer().use { recognizer ->
        val speech = Shipped.speech(recognizer)
        val said = vectors.shape("often").map { speech.utterances[it] } + speech.utterances
        for (expected in vectors.list("labels")) {
            val random = Generator(settings.seed.toLong(), 19, 1)
            val labels = pseudoLabels(recognizer, speech.corpus, said, rules(expected.at("rules")), random)
            assertEquals(expected.strings("kept"), labels.utterances.map { "${it.audio.name} ${it.text}" })
            assertEquals(counts(expected.at("refused")), counts(labels.refused))
        }
    }

    @Test
    @Tag("slow")
    fun `rounds with transcripts and without learn the same, on the same evidence`() {
        val plan = vectors.at("plan").let { SelfTraining(it.int("rounds"), it.int("steps"), rules(it.at("rules"))) }
        for (expected in vectors.list("trainings")) {
            Shipped.recognizer().use { recognizer ->
                val speech = Shipped.speech(recognizer)
                val transcribed = expected.int("transcribed")
                val (labelled, unlabelled) = speech.utterances.run { take(transcribed) to drop(transcribed) }
                val replay = readReplay(recognizer.artifact)
                val trainer = SelfTrainer(recognizer, speech.corpus, labelled, unlabelled, settings, plan, replay = replay)
                assertEquals(expected.string("validated_by") == "transcripts", trainer.validatedByTranscripts)
                val outcome = trainer.train()
                assertSameHistory(expected.list("history"), outcome.history, 2e-3)
                assertEquals(expected.int("steps") to expected.string("stopped_because"), outcome.steps to outcome.stoppedBecause.text)
                assertEquals(expected.list("rounds").map { it.int("kept") to counts(it) }, trainer.rounds.map { it.kept to counts(it.refused) })
            }
        }
    }

    @Test
    fun `few utterances without transcripts are refused`() = Shipped.recognizer().use { recognizer ->
        val speech = Shipped.speech(recognizer)
        val told = assertThrows(InputError::class.java) {
            SelfTrainer(recognizer, speech.corpus, emptyList(), speech.utterances.take(3), settings)
        }
        assertEquals("expected 4 utterances without transcripts or more, got 3", told.message)
    }

    @Test
    fun `where nothing is confident enough, the weights stay as they were`() = Shipped.recognizer().use { recognizer ->
        val speech = Shipped.speech(recognizer)
        val sure = SelfTraining(rounds = 2, steps = 3, rules = PseudoLabelRules(confidence = 1.1))
        val before = recognizer.state()
        val outcome = SelfTrainer(recognizer, speech.corpus, emptyList(), speech.utterances.take(4), settings, sure).train()
        assertEquals("round 1: no utterance is confident enough to learn from", outcome.stoppedBecause.text)
        assertEquals(0, outcome.steps)
        assertEquals(before.mapValues { it.value.bytes() }, recognizer.state().mapValues { it.value.bytes() })
    }
}
