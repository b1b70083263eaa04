package tfliteasr

import java.io.File
import java.nio.file.Files
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue

/** What Python computed: a file that vectors/make_vectors.py wrote. */
fun vectors(name: String): JsonObject = JsonObject.parse(File("../vectors/$name.json").readText(), name)

/** Every number within [relative] of the expected one, of one that is nearly 0 within a thousandth of that. */
fun assertClose(expected: List<Double>, found: List<Double>, relative: Double) {
    assertEquals(expected.size, found.size)
    val worst = expected.zip(found).maxOf { (left, right) -> abs(left - right) / maxOf(abs(left), 1e-3) }
    assertTrue(worst <= relative) { "expected $expected, got $found: $worst apart, allowed $relative" }
}

/** Make what is written to [temporary] meet a full storage, once. */
fun fillStorage(temporary: File) {
    Files.createSymbolicLink(temporary.toPath(), File("/dev/full").toPath())
}
