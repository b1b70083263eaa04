package tfliteasr.personalization

import java.io.File
import tfliteasr.data.ctcProblem
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example

/*
 * Shipped utterances to rehearse while a person's are learnt: NAME.replay.safetensors beside the artifact. They are features
 * of synthetic speech, so they hold nobody's voice.
 */

/** Where the shipped utterances of an artifact are. */
fun replayPath(tflite: File): File = tflite.resolveSibling("${tflite.nameWithoutExtension}.replay.safetensors")

/** The shipped utterances that can be aligned; none when the artifact has no such file. */
fun readReplay(artifact: Artifact): List<Example> {
    val path = replayPath(artifact.path)
    val stored = if (path.exists()) readStored(path, artifact, "copy it again or delete it") else emptyList()
    return stored.filter { ctcProblem(it.tokens, it.frames.length, artifact.config) == null }
}
