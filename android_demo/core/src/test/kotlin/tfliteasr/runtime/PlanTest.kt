package tfliteasr.runtime

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.JsonObject

/** A step in parts over a model of one weight w: loss = (w x - y)^2, whose gradient is 2 x (w x - y). */
class PlanTest {
    private class Line(var w: Float) : SignatureModel {
        val asked = ArrayList<Pair<String, Set<String>>>()

        override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
            asked.add(name to outputs!!.toSet())
            fun value(input: String) = inputs.getValue(input).float(0)
            val all = when (name) {
                "forward" -> mapOf("kept" to value("x"), "out" to w * value("x"), "unused" to 0f)
                "head" -> (value("hidden") - value("y")).let { mapOf("loss" to it * it, "gradient" to 2 * it) }
                else -> {
                    val gradient = value("gradient") * value("kept")
                    w -= value("learning_rate") * gradient
                    mapOf("gradient_norm" to gradient, "skipped" to 0f)
                }
            }
            return all.filterKeys { it in outputs }.mapValues { Tensor.scalar(it.value) }
        }

        override fun close() {}
    }

    private fun signature(name: String, inputs: List<String>, outputs: List<String>) =
        name to Signature(name, inputs.map { TensorSpec(it, emptyList(), DType.FLOAT32) }, outputs, emptyList())

    private val signatures = mapOf(
        signature("forward", listOf("x"), listOf("kept", "out", "unused")),
        signature("head", listOf("hidden", "y"), listOf("loss", "gradient")),
        signature("backward", listOf("kept", "gradient", "learning_rate"), listOf("gradient_norm", "skipped")),
    )

    private fun plan(json: String) =
        Plan("split", JsonObject.parse("""{"split": $json}""", "test").list("split").map(PlanCall::fromJson), signatures)

    private val split = """[{"signature": "forward"}, {"signature": "head", "takes": {"hidden": "forward.out"}},
        {"signature": "backward", "takes": {"kept": "forward.kept", "gradient": "head.gradient"}}]"""

    private val batch = mapOf("x" to Tensor.scalar(2f), "y" to Tensor.scalar(10f), "learning_rate" to Tensor.scalar(0.1f))

    @Test
    fun `calls hand on what later ones take and only that`() {
        val model = Line(3f)
        val results = plan(split).run(model, batch)
        assertEquals(16f, results.getValue("loss").float(0)) // (3 * 2 - 10)^2
        assertEquals(-16f, results.getValue("gradient_norm").float(0))
        assertEquals(3f + 0.1f * 16f, model.w, 1e-6f)
        assertEquals(
            listOf("forward" to setOf("kept", "out"), "head" to setOf("loss", "gradient"), "backward" to setOf("gradient_norm", "skipped")),
            model.asked,
        )
        assertEquals(setOf("loss", "gradient_norm", "skipped"), results.keys)
    }

    @Test
    fun `what cannot run is refused when it is read`() {
        fun message(json: String) = assertThrows(InputError::class.java) { plan(json) }.message!!
        assertTrue("no signature sideways" in message("""[{"signature": "sideways"}]"""))
        assertTrue("no earlier call gives" in message("""[{"signature": "head", "takes": {"hidden": "forward.out"}}]"""))
        assertTrue("has no input z" in message("""[{"signature": "forward"}, {"signature": "head", "takes": {"z": "forward.out"}}]"""))
    }

    @Test
    fun `an input that nobody gives is named`() {
        val error = assertThrows(InputError::class.java) { plan(split).run(Line(3f), batch - "y") }
        assertEquals("plan split, call 2: head needs y, which is neither in the batch nor taken; export the model again", error.message)
    }
}
