package tfliteasr.jvm

import java.io.File
import kotlin.math.sqrt
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import tfliteasr.JsonObject
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.DType
import tfliteasr.runtime.Example
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.Safetensors
import tfliteasr.runtime.StepResult
import tfliteasr.runtime.Tensor

/** A file of low-rank updates trains as Python says (vectors/of_low_rank.py). */
class LowRankTest {
    @TempDir
    lateinit var folder: File

    private val vectors = Shipped.vectors("low_rank")

    private fun recognizer(): Recognizer =
        Artifact.read(Shipped.folder.resolve("lora.tflite")).let { Recognizer(it, LiteRtModel(it.path)) }

    private fun examples(recognizer: Recognizer): List<Example> =
        vectors.shape("lengths").zip(vectors.strings("texts")) { length, text ->
            Example(noise(length), recognizer.tokenizer.encode(text), text)
        }

    private fun trained(recognizer: Recognizer, examples: List<Example>, plan: String, count: Int): List<StepResult> {
        val batches = vectors.matrix("batches").map { batch -> batch.map { examples[it.toInt()] } }
        fun number(name: String) = vectors.double(name).toFloat()
        return List(count) {
            recognizer.trainStep(batches[it % batches.size], number("learning_rate"), number("clip_norm"), number("pull"), plan = plan)
        }
    }

    @Test
    fun `updates train, and gains and biases, and no kernel`() = recognizer().use { recognizer ->
        assertEquals(vectors.strings("trainable"), recognizer.artifact.trainable.map { it.name })
    }

    @ParameterizedTest
    @ValueSource(strings = ["train", "split"])
    fun `steps have the same losses and end at the same updates`(plan: String) = recognizer().use { recognizer ->
        val expected = vectors.at("steps").at(plan)
        val examples = examples(recognizer)
        fun losses() = recognizer.loss(examples).map { it.toDouble() }
        assertClose(expected.numbers("losses_before"), losses(), 1e-5)
        val steps = trained(recognizer, examples, plan, expected.numbers("train_losses").size)
        assertClose(expected.numbers("train_losses"), steps.map { it.loss.toDouble() }, 1e-3)
        assertClose(expected.numbers("gradient_norms"), steps.map { it.gradientNorm.toDouble() }, 1e-3)
        assertClose(expected.numbers("losses_after"), losses(), 1e-3)
        val distances = recognizer.model.run("parameters").getValue("distance").floats()
        assertClose(recognizer.groups.map { expected.at("distances").double(it) }, distances.map { it.toDouble() }, 1e-3)
        assertSaved(expected.at("saved"), recognizer)
    }

    /** The checkpoint holds the same tensors, as their root mean squares say. */
    private fun assertSaved(expected: JsonObject, recognizer: Recognizer) {
        val path = folder.resolve("checkpoint.safetensors")
        recognizer.save(path)
        val tensors = Safetensors.read(path).tensors
        assertEquals(expected.names, tensors.keys.toSortedSet())
        assertClose(expected.names.map(expected::double), expected.names.map { rootMeanSquare(tensors.getValue(it)) }, 1e-3)
    }

    private fun rootMeanSquare(tensor: Tensor): Double {
        val values = if (tensor.dtype == DType.INT32) tensor.ints().map { it.toDouble() } else tensor.floats().map { it.toDouble() }
        return sqrt(values.sumOf { it * it } / values.size)
    }
}
