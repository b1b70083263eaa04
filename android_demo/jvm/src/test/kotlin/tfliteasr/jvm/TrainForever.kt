package tfliteasr.jvm

import java.io.File
import tfliteasr.personalization.Calibration
import tfliteasr.personalization.Limits
import tfliteasr.personalization.Resources
import tfliteasr.personalization.Rounds
import tfliteasr.personalization.RoundsTrainer
import tfliteasr.personalization.Settings
import tfliteasr.personalization.TrainingListener

/** Trains in the folder given, from where it was left on, until it is killed; a dot for each epoch begun. */
fun main(arguments: Array<String>) = Shipped.recognizer().use { recognizer ->
    val speech = Shipped.speech(recognizer)
    val calibration = Calibration.fromJson(Shipped.vectors("runs").at("rounds").at("calibration"))
    val rounds = Rounds(1, { Resources(0.0, 1000.0, null, charging = true, temperatureC = null) }, Limits(), calibration)
    val settings = Settings(epochs = 10_000, epochSteps = 1, patience = 10_000, augment = false, replay = 0, validationShare = 0.2)
    val begun = object : TrainingListener {
        override fun onStep(number: Int, steps: Int, loss: Float) {
            if (number == 1) print('.').also { System.out.flush() }
        }
    }
    RoundsTrainer(recognizer, speech.corpus, speech.utterances, settings, rounds, File(arguments[0]), listener = begun).run()
    Unit
}
