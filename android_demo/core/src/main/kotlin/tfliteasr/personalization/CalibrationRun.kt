package tfliteasr.personalization

import java.io.File
import tfliteasr.Generator
import tfliteasr.runtime.Artifact
import tfliteasr.runtime.Example
import tfliteasr.runtime.Frames
import tfliteasr.runtime.Recognizer
import tfliteasr.runtime.SignatureModel
import tfliteasr.runtime.Tensor
import tfliteasr.runtime.privateMb
import tfliteasr.runtime.watchingMemory

private const val TIMED_STEPS = 3
private const val PROBE_MILLIS = 2L
private const val TICKS_A_SECOND = 100.0 // of /proc, whatever the kernel's own clock

private class Noted(val signature: String, val seconds: Double, val cpuSeconds: Double, val peakMb: Double, val afterMb: Double)

/** Notes what each call takes. */
private class WatchedModel(private val model: SignatureModel) : SignatureModel by model {
    val noted = ArrayList<Noted>()
    var watchesMemory = true // else time

    override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> {
        val (cpu, started) = processCpuSeconds() to System.nanoTime()
        val (result, peak) = when {
            watchesMemory -> watchingMemory(PROBE_MILLIS) { model.run(name, inputs, outputs) }
            else -> model.run(name, inputs, outputs) to 0.0
        }
        val seconds = (System.nanoTime() - started) / 1e9
        noted.add(Noted(name, seconds, processCpuSeconds() - cpu, peak, if (watchesMemory) privateMb() else 0.0))
        return result
    }
}

/**
 * One plan of one artifact, call by call: memory of each call of a first step, then the median seconds of each over a few
 * more, on a full batch of the longest utterances; the step before the timed ones makes what is made once.
 *
 * @param model a new interpreter, which this closes. A process in which nothing else runs gives the truest figures.
 */
fun measureCalls(artifact: Artifact, plan: String, model: SignatureModel): PlanCost {
    val watched = WatchedModel(model)
    return Recognizer(artifact, watched).use { recognizer ->
        val examples = longestExamples(artifact)
        fun step(): List<Noted> {
            watched.noted.clear()
            recognizer.trainStep(examples, learningRate = 1e-4f, clipNorm = 1f, plan = plan)
            return watched.noted.toList()
        }
        model.run("parameters")
        val baseMb = privateMb()
        val memory = step()
        watched.watchesMemory = false
        val times = List(1 + TIMED_STEPS) { step() }.drop(1)
        val calls = memory.mapIndexed { index, first ->
            fun median(figure: (Noted) -> Double) = times.map { figure(it[index]) }.sorted()[TIMED_STEPS / 2]
            val (seconds, cpuSeconds) = median { it.seconds } to median { it.cpuSeconds }
            CallCost(first.signature, seconds, cpuSeconds, first.peakMb - baseMb, first.afterMb - baseMb)
        }
        PlanCost(baseMb, calls)
    }
}

/** A batch of noise, every row as long as the fixed sizes allow: the shapes decide what a step costs. */
private fun longestExamples(artifact: Artifact): List<Example> {
    val random = Generator(0)
    val (config, sizes) = artifact.config to artifact.config.sizes
    return List(sizes.batch) {
        val frames = Frames(FloatArray(sizes.maxFrames * config.features.width) { random.normalFloat() }, config.features.width)
        Example(frames, IntArray(config.maxLabels) { random.integers(config.firstLabel, config.labelBound - 1) }, "", "noise")
    }
}

/** Of all threads of this process; 0 where the kernel does not tell. */
private fun processCpuSeconds(): Double {
    val stat = File("/proc/self/stat")
    if (!stat.canRead()) return 0.0
    val fields = stat.readText().substringAfterLast(')').trim().split(' ') // from the third one, the state, on
    return (fields[11].toLong() + fields[12].toLong()) / TICKS_A_SECOND // utime, stime
}
