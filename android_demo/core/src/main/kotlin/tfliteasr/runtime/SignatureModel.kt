package tfliteasr.runtime

/** A `.tflite` in an interpreter, its variables shared by all signatures. Used by one thread at a time. */
interface SignatureModel : AutoCloseable {
    /**
     * Call a signature.
     *
     * @param inputs every input, with the dtype and shape of the export; one of one value may be [] or [1], however the file
     *     has it.
     * @param outputs the outputs wanted; null wants all.
     * @return the outputs, in memory of their own.
     */
    fun run(
        name: String,
        inputs: Map<String, Tensor> = emptyMap(),
        outputs: Collection<String>? = null,
    ): Map<String, Tensor>

    /** Another interpreter of the same file, its variables as they were shipped. */
    fun anew(): SignatureModel
}
