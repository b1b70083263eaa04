package tfliteasr.jvm

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import tfliteasr.InputError
import tfliteasr.personalization.CHECKPOINT
import tfliteasr.personalization.Calibration
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Resources
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.RoundsTrainer
import tfliteasr.personalization.STATE
import tfliteasr.personalization.Settings
import tfliteasr.personalization.StopReason
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.ownerOf
import tfliteasr.runtime.Recognizer

/** Rounds that are asked to stop, do not begin, or meet what another one left; their course is in [RunsTest]. */
@Tag("slow")
class RoundsTest {
    @TempDir
    lateinit var folder: File

    private val settings = Settings(epochs = 2, epochSteps = 2, validationShare = 0.2, leastToHoldOut = 2, augment = false, replay = 0)
    private val calibration = Calibration.fromJson(Shipped.vectors("runs").at("rounds").at("calibration"))
    private var taken = 0

    private fun trainer(
        recognizer: Recognizer,
        count: Int = 1,
        ramMb: Double = 1000.0,
        settings: Settings = this.settings,
        anew: Boolean = false,
        asked: () -> StopReason? = { null },
    ): RoundsTrainer {
        val speech = Shipped.speech(recognizer)
        val source = { Resources(taken.toDouble(), ramMb, 80.0, charging = false, temperatureC = 30.0) }
        val rounds = Rounds(count, source, Limits(leastAvailableRamMb = 100.0), calibration, asked)
        val counting = object : TrainingListener {
            override fun onStep(number: Int, steps: Int, loss: Float) {
                taken++
            }
        }
        return RoundsTrainer(recognizer, speech.corpus, speech.utterances, settings, rounds, folder, emptyList(), counting, anew)
    }

    private fun told(problem: () -> Unit): String = assertThrows(InputError::class.java) { problem() }.message!!

    @Test
    fun `who is asked to stop does at the end of the step, and leaves weights that load`() {
        Shipped.recognizer().use { recognizer ->
            val memory = StopReason(Kind.LOW_MEMORY, "other apps need the memory")
            val stopped = trainer(recognizer) { memory.takeIf { taken == 2 } }.run()
            assertEquals(StopReason(Kind.LOW_MEMORY, "in round 1: other apps need the memory"), stopped)
            assertEquals(2, taken)
        }
        Shipped.recognizer().use { fresh ->
            val trainer = trainer(fresh)
            assertFalse(trainer.finished)
            assertEquals(Kind.ROUNDS_DONE, trainer.run().kind)
            assertTrue(trainer.finished && trainer.done.single().history.map { it.epoch } == listOf(0, 1, 2))
        }
    }

    @Test
    fun `nothing is begun when no plan fits`() = Shipped.recognizer().use { recognizer ->
        val trainer = trainer(recognizer, ramMb = 110.0)
        val stopped = trainer.run()
        assertEquals(Kind.NO_PLAN_FITS, stopped.kind)
        assertTrue(stopped.text.startsWith("before round 1: no plan fits into 60 MB of RAM, battery from 80% to 0% for 4 steps; one would"))
        assertTrue(trainer.done.isEmpty() && taken == 0)
        assertEquals(0, recognizer.restore(folder.resolve(CHECKPOINT)))
    }

    @Test
    fun `groups that were not chosen are left alone`() = Shipped.recognizer().use { recognizer ->
        val trainer = trainer(recognizer, ramMb = 127.0)
        trainer.run()
        assertEquals("split" to 4, trainer.done.single().chosen.let { it.plan to it.trainableGroups.size })
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        val moved = recognizer.groups.filterIndexed { index, _ -> distances[index] > 0 }
        assertTrue(trainer.done.single().history.last { it.best }.epoch == 0 || moved.isNotEmpty())
        assertTrue(trainer.done.single().chosen.trainableGroups.containsAll(moved), "$moved")
    }

    @Test
    fun `rounds of something else are refused and left, or begun anew from the weights that there are`() {
        Shipped.recognizer().use { trainer(it).run() }
        val (state, checkpoint) = listOf(STATE, CHECKPOINT).map { folder.resolve(it).readBytes() }
        val others = settings.copy(epochs = 1)
        Shipped.recognizer().use { recognizer ->
            assertTrue("rounds of another model, other utterances or settings" in told { trainer(recognizer, settings = others) })
            assertTrue(state.contentEquals(folder.resolve(STATE).readBytes()))
            assertTrue(checkpoint.contentEquals(folder.resolve(CHECKPOINT).readBytes()))
            recognizer.restore(folder.resolve(CHECKPOINT))
            recognizer.owner = ownerOf(recognizer, Shipped.speech(recognizer))
            val trainer = trainer(recognizer, settings = others, anew = true)
            assertTrue(trainer.done.isEmpty() && recognizer.owner == null, "while training, all is heard with what is learned")
            assertEquals(Kind.ROUNDS_DONE, trainer.run().kind)
        }
    }

    @Test
    fun `an owner's voice survives rounds that are begun anew, until there are better weights`() {
        Shipped.recognizer().use { recognizer ->
            recognizer.owner = ownerOf(recognizer, Shipped.speech(recognizer))
            val threshold = recognizer.owner!!.threshold
            trainer(recognizer, anew = true)
            Shipped.recognizer().use { fresh ->
                fresh.restore(folder.resolve(CHECKPOINT))
                assertEquals(threshold, fresh.owner!!.threshold)
            }
        }
    }

    @Test
    fun `a broken state is refused, or begun anew`() = Shipped.recognizer().use { recognizer ->
        folder.resolve(STATE).writeText("{")
        assertTrue("not the state of rounds" in told { trainer(recognizer) })
        assertTrue(trainer(recognizer, anew = true).done.isEmpty())
        assertFalse(folder.resolve(STATE).exists())
    }
}
