package tfliteasr.runtime

import java.io.File
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import tfliteasr.readText
import tfliteasr.vectors

class DescriptionTest {
    @Test
    fun `the digest is the one that Python writes`() {
        val text = vectors("description").string("text")
        assertTrue(Artifact.digestMatches(text))
        for (index in text.indices) {
            assertFalse(Artifact.digestMatches(text.replaceRange(index, index + 1, if (text[index] == '7') "8" else "7")), "$index")
            assertFalse(Artifact.digestMatches(text.removeRange(index, index + 1)), "$index")
        }
    }

    @Test
    fun `a byte order mark and carriage returns change nothing`() {
        val text = vectors("description").string("text")
        val file = File.createTempFile("description", ".json")
        file.writeText("\uFEFF" + text.replace("\n", "\r\n"))
        assertTrue(Artifact.digestMatches(readText(file, "a description")))
        file.delete()
    }
}
