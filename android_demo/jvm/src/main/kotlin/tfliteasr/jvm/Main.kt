package tfliteasr.jvm

import java.io.File
import kotlin.system.exitProcess
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.audio.readWav
import tfliteasr.data.Corpus
import tfliteasr.data.readManifest
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.RecordedSpeech
import tfliteasr.personalization.Settings
import tfliteasr.personalization.Trainer
import tfliteasr.personalization.TrainingListener
import tfliteasr.personalization.readReplay
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer

private const val USAGE = """usage:
  transcribe MODEL WAV [--checkpoint FILE] [--greedy]
      what is said in a WAV file of 16-bit samples at the model's rate
  personalize MODEL MANIFEST --out CHECKPOINT [--checkpoint FILE] [--epochs N] [--connect N] [--seed N] [--no-augment]
      learn a voice from the recordings of a manifest (JSON Lines: audio, text); prints JSON
MODEL is a .tflite file, its .json beside it."""

fun main(arguments: Array<String>) {
    try {
        when (arguments.firstOrNull()) {
            "transcribe" -> transcribe(Arguments(arguments.drop(1), 2, setOf("checkpoint"), setOf("greedy")))
            "personalize" -> personalize(
                Arguments(arguments.drop(1), 2, setOf("out", "checkpoint", "epochs", "connect", "seed"), setOf("no-augment")),
            )
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
    if (sound.sampleRate != rate) throw InputError("$path: expected $rate Hz, got ${sound.sampleRate} Hz; convert it")
    println(recognizer.transcribe(sound.samples, beam = !arguments.flag("greedy")))
}

private fun personalize(arguments: Arguments) = recognizer(arguments).use { recognizer ->
    val default = Settings()
    val settings = default.copy(
        epochs = arguments.count("epochs", default.epochs),
        connect = arguments.count("connect", default.connect),
        seed = arguments.count("seed", default.seed, least = 0),
        augment = !arguments.flag("no-augment"),
    )
    val out = File(arguments.option("out") ?: throw InputError("personalize: expected --out CHECKPOINT"))
    if (out.absoluteFile.parentFile?.isDirectory != true) throw InputError("$out: its folder is not there; make it")
    val utterances = readManifest(File(arguments.positional[1]))
    val corpus = Corpus(utterances, recognizer.config, recognizer.tokenizer)
    val data = RecordedSpeech(recognizer, corpus, utterances, settings)
    val progress = object : TrainingListener {
        override fun onEpoch(row: Epoch) {
            if (row.best) recognizer.save(out)
            System.err.println(
                "epoch %d/%d: validation loss %.2f, WER %.1f%%%s".format(
                    row.epoch, settings.epochs, row.validationLoss, 100 * row.validationWer, if (row.best) " *" else "",
                ),
            )
        }
    }
    val outcome = Trainer(recognizer, data, settings, readReplay(recognizer.artifact), progress).personalize()
    val last = outcome.history.last { it.best }
    println(
        Json.write(
            mapOf(
                "checkpoint" to out.path,
                "validation_wer_before" to outcome.history.first().validationWer,
                "validation_wer_after" to last.validationWer,
                "steps" to outcome.steps,
                "seconds" to outcome.seconds,
                "stopped_because" to outcome.stoppedBecause.text,
            ),
        ),
    )
}

private fun recognizer(arguments: Arguments): Recognizer {
    val artifact = Artifact.read(File(arguments.positional[0]))
    val recognizer = Recognizer(artifact, LiteRtModel(artifact.path))
    arguments.option("checkpoint")?.let { recognizer.restore(File(it)) }
    return recognizer
}
