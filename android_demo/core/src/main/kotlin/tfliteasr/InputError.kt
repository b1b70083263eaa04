package tfliteasr

/**
 * Bad input, told in one line: what was expected, what came, where, and what to do.
 *
 * The command line prints the message alone and exits with code 2.
 */
open class InputError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** What could not be written, most likely since the storage is full; what was there before is as it was. */
class StorageError(message: String, cause: Throwable? = null) : InputError(message, cause)

/** A file of a newer version of tflite_asr than this one reads. */
class TooNewError(message: String) : InputError(message)
