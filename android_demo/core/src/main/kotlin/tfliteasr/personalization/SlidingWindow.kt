package tfliteasr.personalization

import java.io.File
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example

/**
 * The owner's newest utterances as features, in one file (Sim et al. 2019: a sliding window over the user's data).
 *
 * What falls out of the window is gone, so what is stored of a person stays bounded; audio is not stored at all.
 *
 * @param size most utterances kept.
 */
class SlidingWindow(private val path: File, private val artifact: Artifact, private val size: Int) {
    init {
        require(size > 0) { "expected a window of at least one utterance, got $size" }
    }

    /** From the oldest to the newest. */
    fun examples(): List<Example> = if (path.exists()) readExamples(path, artifact) else emptyList()

    /** The newest come in, the oldest go. */
    fun add(newest: List<Example>) {
        if (newest.isNotEmpty()) writeExamples(path, (examples() + newest).takeLast(size))
    }
}
