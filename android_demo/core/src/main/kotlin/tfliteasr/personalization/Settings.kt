package tfliteasr.personalization

import tfliteasr.runtime.ModelConfig

/** The pull of a training on few utterances. */
const val FEW_PULL = 3.0

/** The stretch of a training on few utterances. */
const val FEW_STRETCH = 1.4

/** How a personalisation trains; the defaults are those of the Python side. */
data class Settings(
    val epochs: Int = 40,
    val learningRate: Double? = null, // at first; falls to a tenth by a cosine. Null: the model's own
    val clipNorm: Double = 20.0, // of the gradient of the mean loss of an utterance
    val pull: Double? = null, // towards the shipped weights, see `Recognizer.trainStep`; null: see `settingsFor`
    val stretch: Double? = null, // of what the training changed, in the weights that are kept; null: see `settingsFor`
    val epochSteps: Int = 25, // least steps of an epoch: few utterances are joined and augmented anew until they fill it
    val patience: Int = 25, // epochs without a better validation result before training stops
    val validationShare: Double = 0.15,
    val leastToHoldOut: Int = 61, // of fewer utterances none is held out: they train and validate, for all epochs
    val averaging: Double = 0.15, // share of an epoch's weights in the moving average that is validated and kept; 1 keeps them alone
    val connect: Int = 1, // most clips of one training string; strings are drawn anew every epoch
    val augment: Boolean = true, // speed, level, noise: fifty utterances go a longer way
    val replay: Int = 2, // rows of each batch that hold shipped utterances instead of the owner's
    val plan: String = "train", // of the artifact: train; split for less memory; cached to train the upper groups alone
    val cachedUses: Int = 5, // epochs, or steps of a window, for which the plan `cached` joins and varies a string once
    val groupRates: Map<String, Double> = emptyMap(),
    val exit: Int? = null, // that is to learn, and is validated; null: the last
    val biasOnly: Boolean = false, // of each layer only what has one dimension learns: biases, gains and shifts
    val seed: Int = 0,
) {
    /**
     * The settings with what depends on the model. Where a second pass trains, utterances are always held out: few of them were
     * learned from without evidence with models of words only.
     */
    fun forModel(config: ModelConfig): Settings = if (config.trainsSecondPass) copy(leastToHoldOut = 0) else this

    /** Whether of so many utterances none is held out. */
    fun areFew(utterances: Int): Boolean = utterances < leastToHoldOut

    /** The learning rate for a model. */
    fun rate(config: ModelConfig): Double = learningRate ?: config.learningRate
}

/** How a phone that hears one utterance after the other trains. */
data class Pace(
    val window: Int = 200, // utterances that are kept at most
    val windowBytes: Long = 1_000_000, // of them on disk at most; one second of speech is 4 kB
    val stride: Int = 10, // new utterances before it trains again
    val steps: Int = 80, // that it then takes
)
