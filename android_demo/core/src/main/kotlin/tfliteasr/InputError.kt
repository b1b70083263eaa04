package tfliteasr

/**
 * Bad input, told in one line: what was expected, what came, where, and what to do.
 *
 * The command line prints the message alone and exits with code 2.
 */
class InputError(message: String, cause: Throwable? = null) : Exception(message, cause)
