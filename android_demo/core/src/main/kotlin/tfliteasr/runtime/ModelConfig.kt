package tfliteasr.runtime

import tfliteasr.JsonObject

/** Log-mel frames. */
data class FeatureConfig(val sampleRate: Int, val windowSamples: Int, val hopSamples: Int, val melBands: Int) {
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

/** What a host needs to know of a recogniser's configuration. */
data class ModelConfig(
    val sizes: SizeConfig,
    val features: FeatureConfig,
    val predictionUnits: Int,
    val tailFrames: Int, // of silence, added to an utterance before it is recognised: a stream has no look-ahead
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
                ),
                values.at("prediction").int("units"),
                values.int("tail_frames"),
            )
        }
    }
}
