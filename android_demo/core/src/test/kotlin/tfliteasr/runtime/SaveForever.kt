package tfliteasr.runtime

import java.io.File

/** What [main] saves: two megabytes, so that a kill is likely to meet a write. */
val SAVED = listOf(TensorSpec("w", listOf(500_000), DType.FLOAT32))

/** Saves one checkpoint after the other to the path given, until it is killed. */
fun main(arguments: Array<String>) {
    val tensor = Tensor.floats(500_000)
    var step = 0
    while (true) {
        saveCheckpoint(File(arguments[0]), mapOf("w" to tensor), "ab".repeat(32), ++step)
        if (step == 1) {
            print('.')
            System.out.flush()
        }
    }
}
