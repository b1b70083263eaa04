package tfliteasr.android

import java.io.File
import tfliteasr.runtime.SignatureModel

/** Opens `.tflite` files. On a phone it is [InterpreterRuntime]; tests on a desktop give another one. */
interface ModelRuntime {
    /** Name and version; a calibration holds for one of them. */
    val version: String

    /** A new interpreter of some [signatures], null: of all; [tfliteasr.InputError] for a file that it cannot run. */
    fun open(path: File, threads: Int, signatures: Set<String>? = null): SignatureModel
}
