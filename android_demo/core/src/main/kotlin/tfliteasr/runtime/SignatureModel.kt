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

/** The same for several threads: calls are made one after the other. Several calls without another's between hold [this] locked. */
class SharedModel(private val model: SignatureModel) : SignatureModel {
    @Synchronized
    override fun run(name: String, inputs: Map<String, Tensor>, outputs: Collection<String>?): Map<String, Tensor> =
        model.run(name, inputs, outputs)

    @Synchronized
    override fun anew(): SignatureModel = SharedModel(model.anew())

    @Synchronized
    override fun close() = model.close()
}
