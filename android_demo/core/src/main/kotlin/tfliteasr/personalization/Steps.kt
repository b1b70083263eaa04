package tfliteasr.personalization

import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Row
import tfliteasr.runtime.StepResult
import tfliteasr.runtime.Tensor

/**
 * Takes training steps as the settings say; with `settings.biasOnly` every weight of more than one dimension is put back after
 * each.
 *
 * @param recognizer trained in place; its weights now are those that are put back.
 */
class Steps(private val recognizer: Recognizer, private val settings: Settings) {
    private val rates = settings.groupRates.mapValues { it.value.toFloat() }
    private val held: Map<String, Tensor>

    init {
        recognizer.checkGroups(rates)
        val large = recognizer.artifact.trainable.filter { it.shape.size > 1 }.map { it.name }
        held = if (settings.biasOnly) recognizer.state().filterKeys { it in large } else emptyMap()
    }

    /** Train on a batch. */
    fun take(batch: List<Row>, learningRate: Double): StepResult {
        val result = recognizer.trainStep(
            batch,
            learningRate.toFloat(),
            settings.clipNorm.toFloat(),
            (settings.pull ?: 0.0).toFloat(),
            rates,
            settings.plan,
        )
        if (held.isNotEmpty()) recognizer.setState(recognizer.state() + held)
        return result
    }
}
