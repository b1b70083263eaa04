package tfliteasr

import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

/**
 * A text file in UTF-8, with or without a byte order mark, its line ends as line feeds.
 *
 * @param what it is expected to be, for the [InputError] when it cannot be read.
 */
fun readText(path: File, what: String): String {
    if (path.isDirectory) throw InputError("$path: expected $what, got a folder")
    val bytes = try {
        path.readBytes()
    } catch (error: IOException) {
        throw InputError("$path: expected $what, cannot read it: ${error.message}", error)
    }
    val text = try {
        Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
    } catch (error: CharacterCodingException) {
        throw InputError("$path: expected $what in UTF-8, it is not; convert it", error)
    }
    return text.removePrefix("\uFEFF").replace("\r\n", "\n").replace('\r', '\n')
}
