package tfliteasr.runtime

import tfliteasr.InputError
import tfliteasr.JsonObject
import tfliteasr.text.Tokenizer
import tfliteasr.text.folded
import tfliteasr.text.normalized

/** A word of an utterance; [confidence] is how often such a word is right, from 0 to 1. */
data class Word(val text: String, val startSeconds: Double, val endSeconds: Double, val confidence: Double)

/** What `tflite-asr calibrate` found for a model; without it nothing is corrected. */
data class Calibration(
    val confidence: ConfidenceMeasure = ConfidenceMeasure(),
    val startDelaySeconds: Double = 0.0, // how much later than a word begins its first token comes out
    val endDelaySeconds: Double = 0.0, // how much later than it ends its last token does; usually below 0
) {
    companion object {
        /** What NAME.json says; fields that are not there have their defaults. */
        fun fromJson(values: JsonObject): Calibration {
            val plain = ConfidenceMeasure()
            val measure = if ("measure" in values) values.string("measure") else plain.measure
            val over = if ("over" in values) values.string("over") else plain.over
            fun number(name: String, otherwise: Double) = if (name in values) values.double(name) else otherwise
            return Calibration(
                ConfidenceMeasure(measure, over, number("temperature", plain.temperature)),
                number("start_delay_seconds", 0.0),
                number("end_delay_seconds", 0.0),
            )
        }
    }
}

/**
 * A word, the stretch of audio in which its tokens come out, and the distribution where each of them was written; no
 * tokens where the model has none to spell it.
 */
class AlignedWord(
    val text: String,
    val firstSeconds: Double,
    val lastSeconds: Double,
    val logProbabilities: List<DoubleArray>,
    val tokens: List<Int>,
)

/** Words of an utterance that lasts [seconds], in order and without overlaps. */
fun timed(aligned: List<AlignedWord>, calibration: Calibration, seconds: Double): List<Word> {
    val starts = DoubleArray(aligned.size) { aligned[it].firstSeconds - calibration.startDelaySeconds }
    val ends = DoubleArray(aligned.size) { aligned[it].lastSeconds - calibration.endDelaySeconds }
    for (index in 1 until aligned.size) {
        if (starts[index] < ends[index - 1]) { // one behind the other without a pause
            starts[index] = (starts[index] + ends[index - 1]) / 2
            ends[index - 1] = starts[index]
        }
    }
    var before = 0.0
    return aligned.mapIndexed { index, word ->
        val start = minOf(maxOf(starts[index], before), seconds)
        before = minOf(maxOf(ends[index], start), seconds)
        val sure = if (word.tokens.isEmpty()) 0.0 else calibration.confidence.of(word.logProbabilities, word.tokens)
        Word(word.text, start, before, sure)
    }
}

/** Where in the encoder's steps each token is, and the distribution there. */
private class Placed(val first: IntArray, val last: IntArray, val rows: List<FloatArray>)

/** Aligns texts with what a model makes of their audio; [tokenizer] is the first pass's, whose tokens give the times. */
class WordAligner(
    private val model: SignatureModel,
    private val config: ModelConfig,
    private val tokenizer: Tokenizer,
    private val subwords: Tokenizer?,
) {
    /**
     * One for each word of [text], in its order.
     *
     * @param result what `encode` gave for the utterance.
     * @param edgeSamples of silence in front of its samples.
     * @param secondPass whether the text was written by the second pass, which then is asked how likely it was.
     */
    fun align(result: Map<String, Tensor>, text: String, edgeSamples: Int, secondPass: Boolean): List<AlignedWord> {
        val words = folded(text).split(" ").filter { it.isNotEmpty() }
        if (words.isEmpty()) return emptyList()
        val spelled = words.map(::letters)
        val spelling = spelled.filter { it.isNotEmpty() }.joinToString(" ")
        val tokens = if (spelling.isEmpty()) IntArray(0) else tokenizer.encode(spelling)
        val steps = result.getValue("encoded_lengths").int(0)
        val placed = if (config.prediction != null) {
            transducer(rows(result.getValue("encoded"), steps), tokens)
        } else {
            ctc(rows(result.getValue("log_probabilities"), steps), tokens)
        }
        val ofWord = wordOfEach(tokens, spelled)
        val decoder = config.decoder
        val heard = if (secondPass && subwords != null && decoder != null) {
            AttentionDecoder(model, config, decoder).let { secondPass(it, result.getValue("encoded"), steps, text, words.size) }
        } else {
            words.indices.map { index ->
                val own = tokens.indices.filter { ofWord[it] == index }
                // blank says when a label comes, not which
                own.map { labels(placed.rows[it]) } to own.map { tokens[it] - 1 }
            }
        }
        var before = 0.0
        return words.mapIndexed { index, word ->
            val own = tokens.indices.filter { ofWord[it] == index }
            val start = if (own.isEmpty()) before else seconds(placed.first[own.first()], edgeSamples)
            if (own.isNotEmpty()) before = seconds(placed.last[own.last()] + 1, edgeSamples)
            AlignedWord(word, start, before, heard[index].first, heard[index].second)
        }
    }

    /** A word as the first pass spells it; empty where it cannot. */
    private fun letters(word: String): String = try {
        (if (config.cased) normalized(word) else word).also { tokenizer.encode(it) }
    } catch (_: InputError) {
        ""
    }

    /** Where in the utterance a step begins; within the silence in front of it below 0. */
    private fun seconds(step: Int, edgeSamples: Int): Double =
        (step * config.framesPerStep * config.features.hopSamples - edgeSamples).toDouble() / config.features.sampleRate

    private fun labels(row: FloatArray): DoubleArray = tempered(DoubleArray(row.size - 1) { row[it + 1].toDouble() }, 1.0)

    private fun rows(values: Tensor, count: Int): List<FloatArray> =
        values.shape.last().let { width -> List(count) { values.floats(it * width, width) } }

    private fun ctc(steps: List<FloatArray>, tokens: IntArray): Placed {
        val found = ctcAlignment(steps, tokens) ?: run { // more tokens than steps: as good as any are steps of equal length
            val last = maxOf(steps.size - 1, 0)
            val edges = IntArray(tokens.size + 1) { (last.toDouble() * it / maxOf(tokens.size, 1)).toInt() }
            Alignment(edges.copyOf(tokens.size), edges.copyOfRange(1, edges.size))
        }
        val peaks = tokens.indices.map { index -> (found.first[index]..found.last[index]).maxBy { steps[it][tokens[index]] } }
        return Placed(found.first, found.last, peaks.map { steps[it] })
    }

    private fun transducer(encoded: List<FloatArray>, tokens: IntArray): Placed {
        val lattice = BeamSearch(model, config).lattice(encoded, tokens)
        val blank = lattice.map { nodes -> DoubleArray(nodes.size) { nodes[it][0].toDouble() } }
        val label = lattice.map { nodes -> DoubleArray(tokens.size) { nodes[it][tokens[it]].toDouble() } }
        val emitted = transducerAlignment(blank, label)
        return Placed(emitted, emitted, emitted.mapIndexed { token, step -> lattice[step][token] })
    }

    /** Of each word of a text, what the decoder knew where it wrote its subwords. */
    private fun secondPass(
        decoder: AttentionDecoder,
        encoded: Tensor,
        steps: Int,
        text: String,
        count: Int,
    ): List<Pair<List<DoubleArray>, List<Int>>> {
        val tokens = try {
            checkNotNull(subwords).encode(text).take(config.maxSubwords)
        } catch (_: InputError) { // no text of the second pass's
            emptyList()
        }
        val rows = decoder.distributions(encoded, steps, tokens)
        // -1 where a space of its own is all so far
        val ends = tokens.indices.map { end ->
            folded(checkNotNull(subwords).decode(tokens.take(end + 1))).split(" ").count(String::isNotEmpty) - 1
        }
        return List(count) { index ->
            val own = tokens.indices.filter { ends[it] == index }
            own.map { token -> DoubleArray(rows[token].size) { rows[token][it].toDouble() } } to own.map { tokens[it] }
        }
    }

    /** Which word each token of the spelled words belongs to; -1 for spaces between words. */
    private fun wordOfEach(tokens: IntArray, spelled: List<String>): IntArray {
        val owners = spelled.flatMapIndexed { index, letters -> folded(letters).split(" ").filter { it.isNotEmpty() }.map { index } }
        var decoded = ""
        return IntArray(tokens.size) { place ->
            val longer = tokenizer.decode(tokens.take(place + 1))
            val owner = if (longer == decoded) -1 else owners[folded(longer).split(" ").size - 1]
            decoded = longer
            owner
        }
    }
}
