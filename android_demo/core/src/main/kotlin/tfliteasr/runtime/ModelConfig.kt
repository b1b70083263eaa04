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

/** What a host needs to know of a recogniser's configuration. Its head is a transducer's, or CTC's without [prediction]. */
data class ModelConfig(
    val sizes: SizeConfig,
    val features: FeatureConfig,
    val prediction: PredictionConfig?,
    val tailFrames: Int, // of silence, added to an utterance before it is recognised: a stream has no look-ahead
    val cased: Boolean = false, // whether its texts have case and punctuation: error rates then leave them out of account
) {
    /** Longest utterance that the fixed sizes hold. */
    val maxSeconds: Double get() = features.samplesOf(sizes.maxFrames).toDouble() / features.sampleRate

    companion object {
        fun fromJson(values: JsonObject): ModelConfig {
            val sizes = values.at("sizes")
            val features = values.at("features")
            return ModelConfig(
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
                if ("prediction" in values) prediction(values.at("prediction")) else null,
                values.int("tail_frames"),
                "subwords" in values || "decoder" in values,
            )
        }

        private fun prediction(values: JsonObject): PredictionConfig {
            val (layers, units) = values.int("layers") to values.int("units")
            return PredictionConfig(layers * units, layers * (if ("cells" in values) values.int("cells") else units))
        }
    }
}
