package tfliteasr

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardOpenOption.READ

/**
 * Write a file that appears under its name complete or not at all, and outlives a loss of power where the file system can
 * see to that. The folder is one process's own, as an app's is; threads that write the same file take turns.
 */
@Synchronized
fun writeAtomically(path: File, write: (FileChannel) -> Unit) {
    val temporary = path.resolveSibling(".${path.name}.tmp")
    try {
        FileOutputStream(temporary).use { stream ->
            write(stream.channel)
            stream.fd.sync()
        }
        Files.move(temporary.toPath(), path.toPath(), ATOMIC_MOVE)
    } finally {
        temporary.delete() // gone by the move, unless something failed
    }
    synchroniseFolder(path.absoluteFile.parentFile)
}

/** Make the names in a folder last. Many file systems cannot, and Java does not tell that from a failure: the file is whole. */
private fun synchroniseFolder(folder: File) {
    try {
        FileChannel.open(folder.toPath(), READ).use { it.force(true) }
    } catch (_: IOException) {
    }
}

fun writeAll(channel: FileChannel, bytes: ByteBuffer) {
    while (bytes.hasRemaining()) channel.write(bytes)
}

/** The same with a text. */
fun writeTextAtomically(path: File, text: String) = writeAtomically(path) { writeAll(it, ByteBuffer.wrap(text.toByteArray())) }
