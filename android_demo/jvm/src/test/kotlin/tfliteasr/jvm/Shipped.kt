package tfliteasr.jvm

import java.io.File
import kotlin.math.abs
import kotlin.math.sin
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import tfliteasr.JsonObject
import tfliteasr.audio.readWav
import tfliteasr.data.Corpus
import tfliteasr.data.readManifest
import tfliteasr.personalization.Epoch
import tfliteasr.personalization.Speech
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer

/** The shipped artifact, and what vectors/make_vectors.py wrote. */
object Shipped {
    val tflite = File("../../tflite_asr/assets/commands.tflite")
    val folder = File("../vectors")

    fun recognizer(): Recognizer = Artifact.read(tflite).let { Recognizer(it, LiteRtModel(it.path)) }

    fun vectors(name: String): JsonObject = JsonObject.parse(folder.resolve("$name.json").readText(), name)

    /** The fourteen words, each with a pause behind it: what vectors/of_words.py streams. */
    fun stream(): FloatArray {
        val pauses = vectors("words").numbers("pauses")
        return readManifest(folder.resolve("speech/manifest.jsonl")).flatMapIndexed { index, row ->
            readWav(row.audio).samples.toList() + List(Math.rint(pauses[index % pauses.size] * 16000).toInt()) { 0f }
        }.toFloatArray()
    }

    /** Fourteen words of one voice. */
    fun speech(recognizer: Recognizer): Speech {
        val utterances = readManifest(folder.resolve("speech/manifest.jsonl"))
        return Corpus(utterances, recognizer.config, recognizer.labels).let { Speech(it, it.utterances) }
    }
}

/** [length, 40] frames of noise, by the formula of vectors/of_exits.py. */
fun noise(length: Int) = Frames(FloatArray(length * 40) { (1.5 * sin(it / 40 * (it % 40) / 9.0 + it / 40 / 3.0)).toFloat() }, 40)

/** Where chunks of these sizes, by turns, are among so many values; the last one is what is left. */
fun chunks(length: Int, sizes: List<Int>): List<IntRange> {
    val found = ArrayList<IntRange>()
    var first = 0
    while (first < length) {
        val next = minOf(first + sizes[found.size % sizes.size], length)
        found.add(first until next)
        first = next
    }
    return found
}

/** Every number within [relative] of the expected one, of one that is nearly 0 within a thousandth of that. */
fun assertClose(expected: List<Double>, found: List<Double>, relative: Double) {
    assertEquals(expected.size, found.size)
    val worst = expected.zip(found).maxOf { (left, right) -> abs(left - right) / maxOf(abs(left), 1e-3) }
    assertTrue(worst <= relative) { "expected $expected, got $found: $worst apart, allowed $relative" }
}

/** The same epochs with the same one kept, their losses within [relative]. */
fun assertSameHistory(expected: List<JsonObject>, found: List<Epoch>, relative: Double) {
    assertEquals(expected.map { it.int("epoch") to it.int("step") }, found.map { it.epoch to it.step })
    assertClose(expected.map { it.double("validation_loss") }, found.map { it.validationLoss }, relative)
    val trained = expected.filter { "train_loss" in it }.map { it.double("train_loss") }
    assertClose(trained, found.mapNotNull { it.trainLoss }, relative)
    assertClose(expected.map { it.double("validation_wer") }, found.map { it.validationWer }, 1e-9)
    assertEquals(expected.map { it.boolean("best") }, found.map { it.best })
}
