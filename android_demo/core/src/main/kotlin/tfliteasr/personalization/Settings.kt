package tfliteasr.personalization

/** How a personalisation trains. */
data class Settings(
    val epochs: Int = 20,
    val learningRate: Double = 1e-3, // at first; falls to a tenth by a cosine
    val clipNorm: Double = 20.0, // of the gradient of the mean loss of an utterance
    val pull: Double = 0.0, // towards the shipped weights, see `Recognizer.trainStep`
    val epochSteps: Int = 1, // least steps of an epoch: few utterances are joined and augmented anew until they fill it
    val patience: Int = 6, // epochs without a better validation result before training stops
    val validationShare: Double = 0.15,
    val connect: Int = 1, // most clips of one training string; strings are drawn anew every epoch
    val augment: Boolean = true, // speed, level, noise: fifty utterances go a longer way
    val replay: Int = 2, // rows of each batch that hold shipped utterances instead of the owner's
    val groupRates: Map<String, Double> = emptyMap(),
    val plan: String = "train", // which of the artifact's plans
    val seed: Int = 0,
)
