package tfliteasr

import java.io.File
import java.io.FileOutputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardOpenOption.READ

/** Write a file that appears under its name complete or not at all, and outlives a loss of power. */
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
    FileChannel.open(path.absoluteFile.parentFile.toPath(), READ).use { it.force(true) }
}

fun writeAll(channel: FileChannel, bytes: ByteBuffer) {
    while (bytes.hasRemaining()) channel.write(bytes)
}

/** The same with a text. */
fun writeTextAtomically(path: File, text: String) = writeAtomically(path) { writeAll(it, ByteBuffer.wrap(text.toByteArray())) }
