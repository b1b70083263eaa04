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
                "head" -> (value("hidden") - value("y")).let {
                    mapOf("loss" to it * it, "gradient" to 2 * it, "skipped" to if (it.isFinite()) 0f else 1f, "proceed" to if (it.isFinite()) 1f else 0f)
                }
                else -> {
                    val gradient = value("gradient") * value("kept")
                    w -= value("learning_rate") * gradient
                    mapOf("gradient_norm" to gradient, "skipped" to 0f)
                }
            }
            return all.filterKeys { it in outputs }.mapValues { (output, value) ->
                if (output in setOf("skipped", "proceed")) Tensor.ints().put(0, intArrayOf(value.toInt())) else Tensor.scalar(value)
            }
        }

        override fun anew() = Line(w)

        override fun close() {}
    }

    private fun signature(name: String, inputs: List<String>, outputs: List<String>) =
        name to Signature(name, inputs.map { TensorSpec(it, emptyList(), DType.FLOAT32) }, outputs, emptyList())

    private val signatures = mapOf(
        signature("forward", listOf("x"), listOf("kept", "out", "unused")),
        signature("head", listOf("hidden", "y"), listOf("loss", "gradient", "skipped", "proceed")),
        signature("backward", listOf("kept", "gradient", "learning_rate"), listOf("gradient_norm", "skipped")),
    )

    private fun plan(json: String) =
        Plan("split", JsonObject.parse("""{"split": $json}""", "test").list("split").map(Call::fromJson), signatures)

    private val split = """[{"signature": "forward"}, {"signature": "head", "takes": {"hidden": "forward.out"}, "updates": ["top"]},
        {"signature": "backward", "takes": {"kept": "forward.kept", "gradient": "head.gradient"}, "updates": ["low"]}]"""

    private val batch = mapOf("x" to Tensor.scalar(2f), "y" to Tensor.scalar(10f), "learning_rate" to Tensor.scalar(0.1f))

    @Test
    fun `calls hand on what later ones take and only that`() {
        val model = Line(3f)
        val result = plan(split).step(model, batch)
        assertEquals(StepResult(16f, 16f, skipped = false), result) // (3 * 2 - 10)^2, |2 * 2 * (3 * 2 - 10)|
        assertEquals(3f + 0.1f * 16f, model.w, 1e-6f)
        assertEquals(
            listOf(
                "forward" to setOf("kept", "out"),
                "head" to setOf("loss", "gradient", "skipped", "proceed"),
                "backward" to setOf("gradient_norm", "skipped"),
            ),
            model.asked,
        )
    }

    @Test
    fun `calls below the last group that learns are left out`() {
        assertEquals(3, plan(split).needed(setOf("low")).calls.size)
        assertEquals(2, plan(split).needed(setOf("top")).calls.size)
        assertEquals(2, plan(split).needed(emptySet()).calls.size) // the loss is wanted all the same
    }

    @Test
    fun `below a loss that is not finite nothing is touched`() {
        val model = Line(Float.NaN)
        val result = plan(split).step(model, batch)
        assertTrue(result.skipped)
        assertEquals(listOf("forward", "head"), model.asked.map { it.first })
    }

    @Test
    fun `parts are the calls that train`() = assertEquals(2, plan(split).parts)

    @Test
    fun `what cannot run is refused when it is read`() {
        fun message(json: String) = assertThrows(InputError::class.java) { plan(json) }.message!!
        assertTrue("no signature sideways" in message("""[{"signature": "sideways"}]"""))
        assertTrue("no call before it puts out" in message("""[{"signature": "head", "takes": {"hidden": "forward.out"}}]"""))
        val z = """[{"signature": "forward"}, {"signature": "head", "takes": {"z": "forward.out"}}]"""
        assertTrue("has no input z" in message(z))
    }

    @Test
    fun `an input that nobody gives is named`() {
        val error = assertThrows(InputError::class.java) { plan(split).step(Line(3f), batch - "y") }
        assertEquals("plan split, call 2: head needs y, which is neither in the batch nor taken; export the model again", error.message)
    }
}
