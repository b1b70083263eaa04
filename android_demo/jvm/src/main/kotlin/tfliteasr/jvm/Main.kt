package tfliteasr.jvm

import java.io.File
import kotlin.system.exitProcess
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.audio.readWav
import tfliteasr.data.Corpus
import tfliteasr.data.readManifest
import tfliteasr.fixed
import tfliteasr.personalization.Budget
import tfliteasr.personalization.Candidate
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Pace
import tfliteasr.personalization.ResourceTrace
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Speech
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.readTrace
import tfliteasr.personalization.runSession
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.modelOf

private const val BATTERY_FLOOR_PERCENT = 20
private const val RAM_FLOOR_MB = 200

private const val USAGE = """usage:
  transcribe MODEL WAV [--checkpoint FILE] [--greedy]
      what is said in a WAV file of 16-bit samples at the model's rate
  personalize MODEL MANIFEST --test MANIFEST --out DIR [--checkpoint FILE] [--connect N] [--epochs N] [--patience N]
      [--plan PLAN] [--seed N] [--no-augment]
      [--window N]
      [--rounds N] [--resource-trace FILE] [--battery-floor PERCENT] [--ram-floor-mb N]
      learn a voice from the recordings of a manifest (JSON Lines: audio, text, speaker), measure it on another's before and
      after; writes checkpoint.safetensors and result.json into DIR. With --window as utterances come, the newest N kept as
      features; with --rounds the selector chooses before each what to train, and a device that runs low ends the command:
      the same command then goes on
MODEL is a .tflite file, its .json beside it."""

private val OPTIONS = setOf(
    "test", "out", "checkpoint", "connect", "epochs", "patience", "plan", "seed", "window", "rounds", "resource-trace",
    "battery-floor", "ram-floor-mb",
)

fun main(arguments: Array<String>) {
    try {
        when (arguments.firstOrNull()) {
            "transcribe" -> transcribe(Arguments(arguments.drop(1), 2, setOf("checkpoint"), setOf("greedy")))
            "personalize" -> personalize(Arguments(arguments.drop(1), 2, OPTIONS, setOf("no-augment")))
            "--help", "-h", "help" -> println(USAGE)
            else -> throw InputError("expected a command: transcribe or personalize; --help says more")
        }
    } catch (error: InputError) {
        System.err.println("error: ${error.message}")
        exitProcess(2)
    }
}

private fun transcribe(arguments: Arguments) = recognizer(arguments).use { recognizer ->
    val (path, rate) = arguments.positional[1] to recognizer.config.features.sampleRate
    val sound = readWav(File(path))
    sound.notices.forEach { System.err.println("notice: $it") }
    if (sound.sampleRate != rate) throw InputError("$path: expected $rate Hz, got ${sound.sampleRate} Hz; convert it")
    println(recognizer.transcribe(sound.samples, beam = !arguments.flag("greedy")))
}

private fun personalize(arguments: Arguments) {
    val default = Settings()
    val settings = default.copy(
        epochs = arguments.count("epochs", default.epochs),
        patience = arguments.count("patience", default.patience),
        connect = arguments.count("connect", default.connect),
        seed = arguments.count("seed", default.seed, least = 0),
        plan = arguments.option("plan") ?: default.plan,
        augment = !arguments.flag("no-augment"),
    )
    val pace = arguments.option("window")?.let { Pace(window = arguments.count("window", 0)) }
    for (name in listOf("resource-trace", "battery-floor", "ram-floor-mb")) {
        if (arguments.option(name) != null && arguments.option("rounds") == null) {
            throw InputError("--$name: expected --rounds with it, got none")
        }
    }
    if (arguments.option("rounds") != null && (pace != null || arguments.option("plan") != null)) {
        throw InputError("--rounds: expected no --window and --plan with it; the selector chooses what to train")
    }
    val (adapt, test, out) = listOf(arguments.positional[1], arguments.needed("test"), arguments.needed("out")).map(::File)
    recognizer(arguments).use { recognizer ->
        val result = runSession(
            recognizer,
            speech(adapt, recognizer),
            speech(test, recognizer),
            settings,
            out,
            pace,
            arguments.option("rounds")?.let { rounds(arguments, recognizer) },
            Progress(settings.epochs),
        )
        println(Json.write(result - setOf("history", "pairs", "rounds", "resources")))
    }
}

private fun speech(manifest: File, recognizer: Recognizer): Speech {
    val utterances = readManifest(manifest)
    val corpus = Corpus(utterances, recognizer.config, recognizer.labels)
    corpus.notices.forEach { System.err.println("notice: $it") }
    return Speech(corpus, corpus.utterances)
}

private fun rounds(arguments: Arguments, recognizer: Recognizer): Rounds {
    val limits = Limits(
        leastAvailableRamMb = arguments.count("ram-floor-mb", RAM_FLOOR_MB, least = 0).toDouble(),
        leastBatteryPercent = arguments.count("battery-floor", BATTERY_FLOOR_PERCENT, least = 0).toDouble(),
    )
    val trace = arguments.option("resource-trace")?.let { readTrace(File(it)) }
    val source = trace?.let { ResourceTrace(it) { System.nanoTime() / 1e9 } } ?: ResourceProbe()
    return Rounds(arguments.count("rounds", 1), source, limits, calibrationOf(recognizer.artifact))
}

private class Progress(private val epochs: Int) : TrainingListener {
    override fun onNotice(line: String) = System.err.println("notice: $line")

    override fun onRound(number: Int, chosen: Candidate, budget: Budget) {
        val cost = "${fixed(chosen.predictedPeakMb, 0)} MB and ${fixed(chosen.predictedStepSeconds, 2)} s a step"
        val learns = chosen.trainableGroups.joinToString()
        System.err.println("round $number: plan ${chosen.plan}, exit ${chosen.exit}, $learns: expected $cost")
    }

    override fun onEpoch(row: Epoch) {
        val loss = row.trainLoss?.let { "loss ${fixed(it, 2)}, " }.orEmpty()
        val (validation, wer) = row.validationLoss to fixed(100 * row.validationWer, 1)
        val told = if (validation.isFinite()) fixed(validation, 2) else "$validation"
        System.err.println("epoch ${row.epoch}/$epochs: ${loss}validation loss $told, WER $wer%${if (row.best) " *" else ""}")
    }
}

private fun recognizer(arguments: Arguments): Recognizer {
    val artifact = Artifact.read(File(arguments.positional[0]))
    val recognizer = Recognizer(artifact, modelOf(artifact) { LiteRtModel(artifact.path, signatures = it) })
    arguments.option("checkpoint")?.let { recognizer.restore(File(it)) }
    return recognizer
}
