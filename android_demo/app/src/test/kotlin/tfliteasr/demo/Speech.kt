package tfliteasr.demo

import java.io.File
import tfliteasr.audio.Sound
import tfliteasr.audio.readWav
import tfliteasr.data.readManifest

/** Fourteen words of one voice, as Kotlin's and Python's other tests hear them. */
object Speech {
    private val repository = generateSequence(File("").absoluteFile) { it.parentFile }.first { it.resolve("android_demo").isDirectory }
    val vectors: File = repository.resolve("android_demo/vectors")
    val assets: File = repository.resolve("tflite_asr/assets")
    private val rows = readManifest(vectors.resolve("speech/manifest.jsonl"))

    val texts: List<String> = rows.map { it.text }

    fun sound(index: Int): Sound = readWav(rows[index].audio)

    /** As a microphone gives it. */
    fun samples(index: Int): ShortArray = shorts(sound(index).samples)

    fun shorts(samples: FloatArray) = ShortArray(samples.size) { (samples[it] * 32767).toInt().toShort() }

    /** A tone, of [amplitude] up to 1. */
    fun tone(seconds: Double, amplitude: Double) = ShortArray((16000 * seconds).toInt()) {
        (32767 * (amplitude * Math.sin(it / 5.0)).coerceIn(-1.0, 1.0)).toInt().toShort()
    }
}
