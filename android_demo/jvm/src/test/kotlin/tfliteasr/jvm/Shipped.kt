package tfliteasr.jvm

import java.io.File
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Recognizer

/** The shipped artifact and the vectors that Python wrote about it. */
object Shipped {
    val tflite = File("../../tflite_asr/assets/commands.tflite")
    val vectors = File("../vectors")

    fun recognizer(): Recognizer = Artifact.read(tflite).let { Recognizer(it, LiteRtModel(it.path)) }
}
