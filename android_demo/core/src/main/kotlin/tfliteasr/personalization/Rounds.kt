package tfliteasr.personalization

import java.io.File
import java.security.MessageDigest
import tfliteasr.Generator
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.data.Corpus
import tfliteasr.data.Utterance
import tfliteasr.personalization.StopReason.Kind
import tfliteasr.runtime.Example
import tfliteasr.runtime.ExitPolicy
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.hexadecimal

/*
 * Personalisation in rounds (Sasindran et al. 2023, MobileASR): new utterances come, the selector looks what the device has to
 * spare, training goes on.
 *
 * A round ends at its best validation result, by patience, or when the device runs low; the next starts from the best weights,
 * also in another process: `rounds.json` in the folder tells how far the former one came, `checkpoint.safetensors` holds the
 * best weights so far. All rounds are validated on the same utterances, held out of the first, so that they can be compared.
 */

const val CHECKPOINT = "checkpoint.safetensors"
const val STATE = "rounds.json"

/**
 * How many, and what decides about each.
 *
 * @property calibration of the artifact on this device.
 * @property asked whether who runs the training wants it to stop.
 */
class Rounds(
    val count: Int,
    val source: ResourceSource,
    val limits: Limits,
    val calibration: Calibration,
    val asked: () -> StopReason? = { null },
)

/** The new utterances of each round, as many in each; in an order drawn by seed, for corpora are sorted by word. */
fun arriving(utterances: List<Utterance>, count: Int, seed: Int): List<List<Utterance>> {
    if (utterances.size <= count) {
        throw InputError("rounds $count: expected more utterances than rounds, got ${utterances.size}")
    }
    val rest = Generator(seed.toLong(), 17).permutation(utterances.size).map(utterances::get).toMutableList()
    return List(count) { part ->
        val size = utterances.size / count + if (part < utterances.size % count) 1 else 0
        List(size) { rest.removeAt(0) }
    }
}

/**
 * Trains round after round.
 *
 * @param recognizer trained in place.
 * @param corpus holds the speech to learn from; [utterances] are those of it that are learned.
 * @param settings how to train in each round; plan, exit and group rates are the selector's.
 * @param rounds how many, and the device.
 * @param folder of the checkpoint and the state; what an earlier process left there is gone on with.
 * @param replay shipped utterances, mixed into the batches.
 * @param anew rounds of something else, or that came to their end, are begun anew with the weights that the recogniser has; else
 *     they are refused, and left as they are.
 */
class RoundsTrainer(
    private val recognizer: Recognizer,
    corpus: Corpus,
    utterances: List<Utterance>,
    settings: Settings,
    private val rounds: Rounds,
    private val folder: File,
    replay: List<Example> = emptyList(),
    private val listener: TrainingListener = object : TrainingListener {},
    anew: Boolean = false,
) {
    private val settings = settingsFor(recognizer, settings, utterances.size)
    private val parts: List<List<Utterance>>
    private val epochs: Epochs
    private val candidates = candidates(recognizer.artifact, rounds.calibration)
    private val of = fingerprint(utterances)
    private val checkpoint = folder.resolve(CHECKPOINT)
    private var secondsBefore = 0.0 // of the readings of earlier processes

    /** A row a round, the last one perhaps interrupted. */
    val done = ArrayList<Round>()

    /** Of the resources, over all processes. */
    val readings = ArrayList<Resources>()

    init {
        val arrived = arriving(utterances, rounds.count, settings.seed)
        // where all rounds together are few, none is held out: see `trainingAndValidation`
        val first = if (utterances.size < settings.leastToHoldOut) Split(arrived[0], arrived[0])
        else split(arrived[0], settings.validationShare, settings.seed)
        parts = listOf(first.training) + arrived.drop(1)
        epochs = Epochs(recognizer, corpus, first.heldOut, settings, replay, listener)
        restore(anew)
    }

    /** Whether every round came to its end. */
    val finished: Boolean get() = state().finished(rounds.count)

    /** Where the encoder is left, as the last round trained it. */
    val policy: ExitPolicy?
        get() = done.lastOrNull()?.chosen?.exit?.takeIf { it != recognizer.artifact.exits.lastIndex }?.let { ExitPolicy(it) }

    /**
     * Train what is left to train; why it ended. The recogniser has the best weights afterwards.
     *
     * @param measure called at the end of each round; what it returns is noted with it.
     */
    fun run(measure: () -> Map<String, Double> = { emptyMap() }): StopReason {
        while (!finished) {
            val number = done.size + if (done.isEmpty() || done.last().ended) 1 else 0
            refusal()?.let { return it.at("before round $number") }
            val budget = budget()
            val selection = choose(candidates, budget, exitLosses())
            if (selection.chosen == null) {
                val enough = selection.smallest?.let { "one would into $it" } ?: "none would with a full battery"
                return StopReason(Kind.NO_PLAN_FITS, "before round $number: no plan fits into $budget; $enough")
            }
            listener.onRound(number, selection.chosen, budget)
            val outcome = round(number, selection.chosen)
            if (outcome.interrupted) return outcome.stoppedBecause.at("in round $number")
            done[done.lastIndex] = done.last().copy(measured = measure())
            save()
        }
        return StopReason(Kind.ROUNDS_DONE, "all ${rounds.count} rounds done")
    }

    /** The rows of all rounds, their epochs counted on from round to round. */
    fun history(): List<Epoch> {
        val rows = ArrayList<Epoch>()
        for (round in done) {
            val before = rows.lastOrNull()?.epoch ?: 0
            rows += round.history.map { it.copy(epoch = before + it.epoch) }
        }
        return rows
    }

    private fun round(number: Int, chosen: Candidate): Outcome {
        if (number > done.size) done.add(Round(number, parts.take(number).sumOf { it.size }, chosen))
        val before = done.last().copy(chosen = chosen, stoppedBecause = PROCESS_ENDED) // an interruption, perhaps
        done[done.lastIndex] = before
        val epochsDone = before.history.lastOrNull()?.epoch ?: 0
        val how = settings.copy(
            plan = chosen.plan,
            groupRates = recognizer.groups.associateWith { if (it in chosen.trainableGroups) 1.0 else 0.0 },
            exit = policy?.exit,
        )
        val outcome = epochs.train(parts.take(number).flatten(), how, epochsDone, ::refusal) { note(it, before, epochsDone) }
        done[done.lastIndex] = done.last().copy(
            steps = before.steps + outcome.steps,
            seconds = before.seconds + outcome.seconds,
            stoppedBecause = outcome.stoppedBecause.text,
            ended = !outcome.interrupted,
        )
        save()
        return outcome
    }

    /** A row of the history: the best weights go to disk as soon as they are, then how far it came. */
    private fun note(row: Epoch, before: Round, epochsDone: Int) {
        if (row.best && (row.epoch > 0 || !checkpoint.exists())) recognizer.save(checkpoint)
        listener.onEpoch(row)
        read()
        val (steps, seconds) = before.steps + row.step to before.seconds + row.seconds
        val again = row.epoch == epochsDone && before.history.isNotEmpty() // measured again after an interruption
        val history = done.last().history + if (again) emptyList() else listOf(row.copy(step = steps, seconds = seconds))
        done[done.lastIndex] = done.last().copy(history = history, steps = steps, seconds = seconds)
        save()
    }

    /** What this device has to spare now. */
    private fun budget(): Budget {
        val (now, limits) = read() to rounds.limits
        val baseMb = rounds.calibration.plans.values.maxOf { it.basePrivateMb } // is there already
        return Budget(
            ramMb = baseMb + now.availableRamMb - limits.leastAvailableRamMb,
            batteryPercent = if (now.charging) null else now.batteryPercent,
            batteryFloorPercent = limits.leastBatteryPercent,
            steps = settings.epochs * settings.epochSteps,
        )
    }

    /** Of the owner's validation utterances; null where there is one exit only. */
    private fun exitLosses(): List<Double>? {
        if (recognizer.artifact.exits.size == 1) return null
        return recognizer.exitLosses(epochs.validation).map { it.average() }
    }

    /** Why not to train now. */
    private fun refusal(): StopReason? {
        val now = rounds.source.now()
        return rounds.limits.refusal(now)?.also { note(now) } ?: rounds.asked()
    }

    private fun read(): Resources = rounds.source.now().also(::note)

    private fun note(now: Resources) {
        readings.add(now.copy(seconds = secondsBefore + now.seconds))
    }

    private fun fingerprint(utterances: List<Utterance>): String {
        val rows = utterances.map { utterance ->
            listOf(utterance.audio.path, utterance.text) +
                (utterance.segment?.let { listOf(it.offsetSeconds, it.durationSeconds) } ?: emptyList())
        }
        val same = Json.write(listOf(recognizer.artifact.tfliteSha256, rounds.count, settings.toString(), rows))
        return hexadecimal(MessageDigest.getInstance("SHA-256").digest(same.toByteArray()))
    }

    /** Go on with what the folder holds; a folder without rounds gets the weights that they start from. */
    private fun restore(anew: Boolean) {
        val path = folder.resolve(STATE)
        val state = if (path.exists()) readState(path, anew) else null
        if (state == null || anew && (state.of != of || state.finished(rounds.count))) {
            path.delete()
            recognizer.save(checkpoint)
            recognizer.owner = null // while training, everything is heard with what is learned
            return
        }
        if (state.of != of) {
            throw InputError(
                "$path: rounds of another model, other utterances or settings; give another --out, or remove it to begin anew",
            )
        }
        recognizer.restore(checkpoint)
        recognizer.owner = null
        done += state.rounds
        readings += state.readings
        secondsBefore = readings.lastOrNull()?.seconds ?: 0.0
    }

    private fun readState(path: File, anew: Boolean): RoundsState? = try {
        RoundsState.read(path)
    } catch (error: InputError) {
        if (anew) null else throw error
    }

    private fun state() = RoundsState(of, done, readings)

    private fun save() = state().save(folder.resolve(STATE))
}
