package tfliteasr.runtime

import tfliteasr.JsonObject

/** Log-mel frames. */
data class FeatureConfig(
    val sampleRate: Int,
    val windowSamples: Int,
    val hopSamples: Int,
    val melBands: Int,
    val minHz: Double,
    val maxHz: Double,
    val logFloor: Double, // mel power
    val mean: Double, // of log-mel over speech, and
    val deviation: Double, // its standard deviation: brings frames near zero mean and unit variance
) {
    /** How many samples make [frames] frames. */
    fun samplesOf(frames: Int): Int = windowSamples + (frames - 1) * hopSamples

    /** How many whole frames are in [samples] samples (0 when shorter than a window). */
    fun framesOf(samples: Int): Int = maxOf(0, Math.floorDiv(samples - windowSamples, hopSamples) + 1)
}

/** Fixed sizes of an export: TFLite plans its memory for them. */
data class SizeConfig(
    val batch: Int,
    val maxFrames: Int,
    val maxTokens: Int,
    val maxSymbolsPerStep: Int,
    val beam: Int,
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

/** What a host needs to know of a recogniser's configuration. Its head is a transducer's, or CTC's without [prediction]. */
data class ModelConfig(
    val encoder: EncoderConfig,
    val sizes: SizeConfig,
    val features: FeatureConfig,
    val vocabularySize: Int, // labels, blank (0) among them
    val prediction: PredictionConfig?,
    val tailFrames: Int, // of silence, added to an utterance before it is recognised: a stream has no look-ahead
    val framesPerStep: Int = 1, // feature frames in one step of the encoder's output
) {
    /** Longest utterance that the fixed sizes hold. */
    val maxSeconds: Double get() = features.samplesOf(sizes.maxFrames).toDouble() / features.sampleRate

    /** Shortest recording to learn from: a word takes 0.2 s, and played faster it still has to fill an encoder step. */
    val minSeconds: Double get() = maxOf(MIN_SECONDS, 1.25 * features.samplesOf(framesPerStep) / features.sampleRate)

    companion object {
        private const val MIN_SECONDS = 0.2

        fun fromJson(values: JsonObject): ModelConfig {
            val sizes = values.at("sizes")
            val features = values.at("features")
            return ModelConfig(
                encoder(values),
                SizeConfig(
                    sizes.int("batch"),
                    sizes.int("max_frames"),
                    sizes.int("max_tokens"),
                    sizes.int("max_symbols_per_step"),
                    sizes.int("beam"),
                ),
                FeatureConfig(
                    features.int("sample_rate"),
                    features.int("window_samples"),
                    features.int("hop_samples"),
                    features.int("mel_bands"),
                    features.double("min_hz"),
                    features.double("max_hz"),
                    features.double("log_floor"),
                    features.double("mean"),
                    features.double("deviation"),
                ),
                values.string("characters").length + 1,
                if ("prediction" in values) prediction(values.at("prediction")) else null,
                values.int("tail_frames"),
                framesPerStep(values.at("encoder")),
            )
        }

        private fun framesPerStep(values: JsonObject): Int =
            values.int("stack_frames") * (if ("reduction" in values) values.int("reduction") else 1)

        private fun encoder(values: JsonObject): EncoderConfig {
            val encoder = values.at("encoder")
            val reduces = "reduction" in encoder // an encoder of LSTM groups
            return EncoderConfig(
                encoder.int("stack_frames"),
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
