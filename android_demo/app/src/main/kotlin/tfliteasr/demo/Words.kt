package tfliteasr.demo

import tfliteasr.android.CorrectionResult
import tfliteasr.android.Opening
import tfliteasr.android.Problem

/** The words for a problem. */
fun wordsFor(problem: Problem): Int = when (problem) {
    Problem.MODEL -> R.string.problem_model
    Problem.MODEL_ROOM -> R.string.problem_room
    Problem.OPENED_MODEL -> R.string.problem_opened_model
    Problem.CHECKPOINT -> R.string.problem_checkpoint
    Problem.STORAGE -> R.string.problem_storage
    Problem.READING -> R.string.problem_reading
    Problem.TRAINING -> R.string.problem_training
    Problem.LEARNED_ROOM -> R.string.problem_learned_room
    Problem.LISTENING -> R.string.problem_listening
    Problem.DELETE -> R.string.problem_delete
}

/** The words for how opening a model ended. */
fun wordsFor(opening: Opening): Int = when (opening) {
    Opening.OPENED -> R.string.model_opened
    Opening.INCOMPLETE -> R.string.model_incomplete
    Opening.NOT_A_MODEL -> R.string.model_not_one
    Opening.TOO_NEW -> R.string.model_too_new
    Opening.CANNOT_RUN -> R.string.model_cannot_run
    Opening.NOT_READABLE -> R.string.model_not_readable
    Opening.NO_ROOM -> R.string.model_no_room
}

/** The words for how a correction ended. */
fun wordsFor(result: CorrectionResult): Int = when (result) {
    CorrectionResult.KEPT -> R.string.correct_kept
    CorrectionResult.NOTHING_TO_CORRECT -> R.string.correct_nothing
    CorrectionResult.DOES_NOT_FIT -> R.string.correct_does_not_fit
    CorrectionResult.NOT_STORED -> R.string.problem_storage
}
