package tfliteasr.runtime

import kotlin.math.ceil
import kotlin.math.round
import tfliteasr.InputError
import tfliteasr.JsonObject

/** What makes frames of samples. */
sealed class FrontEnd {
    abstract val sampleRate: Int // Hz
    abstract val windowSamples: Int // that a frame covers
    abstract val hopSamples: Int // from one frame's first to the next one's
    abstract val width: Int // values in a frame

    /** How many samples make [frames] frames. */
    fun samplesOf(frames: Int): Int = windowSamples + (frames - 1) * hopSamples

    /** How many whole frames are in [samples] samples (0 when shorter than a window). */
    fun framesOf(samples: Int): Int = maxOf(0, Math.floorDiv(samples - windowSamples, hopSamples) + 1)
}

/** Log-mel frames. */
data class FeatureConfig(
    override val sampleRate: Int,
    override val windowSamples: Int,
    override val hopSamples: Int,
    val melBands: Int,
    val minHz: Double,
    val maxHz: Double,
    val logFloor: Double, // mel power
    val mean: Double, // of log-mel over speech, and
    val deviation: Double, // its standard deviation: brings frames near zero mean and unit variance
) : FrontEnd() {
    override val width: Int get() = melBands
}

/** Waveform stem: three strided convolutions on the samples, whose last one has [units]. */
data class StemConfig(val units: Int, override val sampleRate: Int) : FrontEnd() {
    override val windowSamples: Int get() = 895 // these two follow from the kernels
    override val hopSamples: Int get() = 384
    override val width: Int get() = units
}

/**
 * Fixed sizes of an export: TFLite plans its memory for them.
 *
 * @property streamFrames in one call of `stream`.
 * @property lengths in frames, below [maxFrames], rising: there are signatures for utterances of each as well.
 * @property suffix of the names of the signatures of these sizes; see [ModelConfig.atLength].
 */
data class SizeConfig(
    val batch: Int,
    val maxFrames: Int,
    val maxTokens: Int,
    val streamFrames: Int,
    val maxSymbolsPerStep: Int,
    val beam: Int,
    val lengths: List<Int> = emptyList(),
    val suffix: String = "",
)

/** Prediction network: widths of the states that `predict` takes and gives, all its layers' side by side. */
data class PredictionConfig(val hiddenSize: Int, val cellSize: Int)

/**
 * How many steps an encoder makes of frames.
 *
 * @property reduction steps that become one behind the group [reduceAfter]; 1 for none.
 * @property exits groups that an exit is behind, the last group among them.
 */
data class EncoderConfig(val stackFrames: Int, val reduceAfter: Int, val reduction: Int, val exits: List<Int>) {
    /** Encoder steps of [frames] feature frames at each exit, the last one included. */
    fun stepsAtExits(frames: Int): List<Int> =
        exits.map { frames / stackFrames / (if (it >= reduceAfter) reduction else 1) }
}

/** A subword vocabulary's pieces in the order of their ids; merged by the best score first, without scores by id. */
data class SubwordConfig(val pieces: List<String>, val scores: List<Double>?)

/** Second pass over a CTC encoder: a transformer decoder over subwords, which decodes by itself. */
data class DecoderConfig(
    val layers: Int,
    val heads: Int,
    val headSize: Int,
    val vocabularySize: Int, // tokens, start and end among them
    val start: Int, // token before the first
    val end: Int, // token after the last
    val tokensPerSecond: Double, // bound on what is decoded; above it a decoder repeats itself
    val subwords: SubwordConfig?, // null: of a decoder whose tokens nobody can read
    val trains: Boolean = false, // whether its cross entropy is what trains on the device, in place of the first pass's loss
)

/** What a host needs to know of a recogniser's configuration. Its head is a transducer's, or CTC's without [prediction]. */
data class ModelConfig(
    val encoder: EncoderConfig,
    val sizes: SizeConfig,
    val features: FrontEnd,
    val vocabularySize: Int, // labels, blank (0) among them
    val prediction: PredictionConfig?,
    val tailFrames: Int, // of silence, added to an utterance before it is recognised: a stream has no look-ahead
    val framesPerStep: Int = 1, // feature frames in one step of the encoder's output
    val cased: Boolean = false, // whether its texts have case and punctuation: error rates then leave them out of account
    val edgeSamples: Int = 0, // of silence, added on both sides: a stem that normalises misses words at an edge
    val decoder: DecoderConfig? = null, // a second pass
    val learningRate: Double = 1e-3, // at which it is personalised unless told otherwise
) {
    /** Most subwords that a decoder puts out for the longest utterance; 0 without one. */
    val maxSubwords: Int get() = decoder?.let { (maxSeconds * it.tokensPerSecond).toInt() } ?: 0

    /** Most subwords that a decoder puts out for [frames] frames; one that hears nothing repeats itself without end. 0 without
     * one. */
    fun mostSubwords(frames: Int): Int {
        val seconds = features.samplesOf(maxOf(frames, 1)).toDouble() / features.sampleRate
        return decoder?.let { minOf(maxSubwords, round(seconds * it.tokensPerSecond).toInt()).coerceAtLeast(1) } ?: 0
    }

    /**
     * The same with the sizes of utterances of at most [frames] frames, one of `sizes.lengths`: labels in proportion and
     * half as many more, signatures with a suffix.
     */
    fun atLength(frames: Int): ModelConfig {
        val share = minOf(1.0, 1.5 * frames / sizes.maxFrames) // short utterances may be fast
        val tokens = ceil(share * sizes.maxTokens).toInt()
        return copy(sizes = sizes.copy(maxFrames = frames, maxTokens = tokens, lengths = emptyList(), suffix = "_${frames}f"))
    }

    /** The same with the smallest sizes that hold an utterance of [frames] frames and, to learn from, [labels] labels. */
    fun shortest(frames: Int, labels: Int = 0): ModelConfig =
        sizes.lengths.filter { frames <= it }.map(::atLength).firstOrNull { labels <= it.maxLabels } ?: this

    /** Whether what trains on the device is the second pass: labels to learn from are then its subwords. */
    val trainsSecondPass: Boolean get() = decoder?.trains ?: false

    /** Most labels of an utterance to learn from. */
    val maxLabels: Int get() = if (trainsSecondPass) maxSubwords else sizes.maxTokens

    /** The smallest label: behind the blank, or behind the decoder's start and end. */
    val firstLabel: Int get() = decoder?.takeIf { it.trains }?.let { 1 + maxOf(it.start, it.end) } ?: 1

    /** Labels to learn from are below this. */
    val labelBound: Int get() = decoder?.takeIf { it.trains }?.vocabularySize ?: vocabularySize

    /** Longest utterance that the fixed sizes hold. */
    val maxSeconds: Double get() = features.samplesOf(sizes.maxFrames).toDouble() / features.sampleRate

    /** Shortest recording to learn from: a word takes 0.2 s, and played faster it still has to fill an encoder step. */
    val minSeconds: Double get() = maxOf(MIN_SECONDS, 1.25 * features.samplesOf(framesPerStep) / features.sampleRate)

    companion object {
        private const val MIN_SECONDS = 0.2

        fun fromJson(values: JsonObject): ModelConfig {
            return ModelConfig(
                encoder(values),
                sizes(values.at("sizes")),
                frontEnd(values.at("features")),
                vocabularySize(values),
                if ("prediction" in values) prediction(values.at("prediction")) else null,
                values.int("tail_frames"),
                framesPerStep(values.at("encoder")),
                "subwords" in values || "decoder" in values,
                if ("edge_samples" in values) values.int("edge_samples") else 0,
                if ("decoder" in values) decoder(values.at("decoder")) else null,
                if ("learning_rate" in values) values.double("learning_rate") else 1e-3,
            )
        }

        private fun sizes(values: JsonObject): SizeConfig {
            val lengths = if ("lengths" in values) values.shape("lengths").toList() else emptyList()
            val most = values.int("max_frames")
            if (lengths != lengths.distinct().sorted() || lengths.any { it !in 1 until most }) {
                throw InputError("${values.place}: expected lengths in rising order from 1 to ${most - 1} frames, got $lengths")
            }
            return SizeConfig(
                values.int("batch"),
                most,
                values.int("max_tokens"),
                values.int("stream_frames"),
                values.int("max_symbols_per_step"),
                values.int("beam"),
                lengths,
                if ("suffix" in values) values.string("suffix") else "",
            )
        }

        private fun frontEnd(values: JsonObject): FrontEnd = when (val kind = kind(values, "log_mel")) {
            "log_mel" -> FeatureConfig(
                values.int("sample_rate"),
                values.int("window_samples"),
                values.int("hop_samples"),
                values.int("mel_bands"),
                values.double("min_hz"),
                values.double("max_hz"),
                values.double("log_floor"),
                values.double("mean"),
                values.double("deviation"),
            )
            "stem" -> StemConfig(values.int("units"), values.int("sample_rate"))
            else -> throw InputError("${values.place}: no front end named '$kind'; there are: log_mel, stem")
        }

        /** Which of several classes a part of the configuration is of; older files do not say, and mean the first. */
        private fun kind(values: JsonObject, first: String): String =
            if ("kind" in values) values.string("kind") else first

        private fun decoder(values: JsonObject) = DecoderConfig(
            values.int("layers"),
            values.int("heads"),
            values.int("units") / values.int("heads"),
            values.int("vocabulary_size"),
            values.int("start"),
            values.int("end"),
            values.double("tokens_per_second"),
            if ("subwords" in values) subwords(values.at("subwords")) else null,
            if ("trains" in values) values.boolean("trains") else false,
        )

        private fun subwords(values: JsonObject) =
            SubwordConfig(values.strings("pieces"), if ("scores" in values) values.numbers("scores") else null)

        private fun vocabularySize(values: JsonObject): Int =
            1 + (if ("subwords" in values) values.at("subwords").strings("pieces").size else values.string("characters").length)

        private fun framesPerStep(values: JsonObject): Int =
            stackFrames(values) * (if ("reduction" in values) values.int("reduction") else 1)

        /** Frames that make one input of the encoder; a transformer's front end has joined them. */
        private fun stackFrames(values: JsonObject): Int = when (val kind = kind(values, "lstm")) {
            "lstm", "conformer" -> values.int("stack_frames")
            "transformer" -> 1
            else ->
                throw InputError("${values.place}: no encoder named '$kind'; there are: lstm, conformer, transformer")
        }

        private fun encoder(values: JsonObject): EncoderConfig {
            val encoder = values.at("encoder")
            val reduces = "reduction" in encoder // an encoder of LSTM groups
            return EncoderConfig(
                stackFrames(encoder),
                if (reduces) encoder.int("reduce_after") else 0,
                if (reduces) encoder.int("reduction") else 1,
                (if ("exits" in values) values.numbers("exits").map { it.toInt() } else emptyList()) + (encoder.int("layers") - 1),
            )
        }

        private fun prediction(values: JsonObject): PredictionConfig {
            val (layers, units) = values.int("layers") to values.int("units")
            return PredictionConfig(layers * units, layers * (if ("cells" in values) values.int("cells") else units))
        }
    }
}
