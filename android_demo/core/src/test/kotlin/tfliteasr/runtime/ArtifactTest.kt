package tfliteasr.runtime

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import tfliteasr.InputError
import tfliteasr.Json
import tfliteasr.JsonObject

class ArtifactTest {
    private val described: Map<*, *> = run {
        val vectors = Json.parse(File("../vectors/selector.json").readText()) as Map<*, *>
        ((vectors["artifacts"] as List<*>)[0] as Map<*, *>)["artifact"] as Map<*, *>
    }

    private fun licences(rows: Any?) = Artifact.fromJson(JsonObject(described + ("licences" to rows), "x.json"), File("x.tflite")).licences

    @Test
    fun `licences are read, and older descriptions have none`() {
        val row = mapOf("what" to "decoder", "licence" to "MIT", "holder" to "Ann", "source" to "a wheel")
        assertEquals(listOf(Licence("decoder", "MIT", "Ann", "a wheel")), licences(listOf(row)))
        assertEquals(emptyList<Licence>(), licences(emptyList<Any>()))
        val older = Artifact.fromJson(JsonObject(described - "licences", "x.json"), File("x.tflite"))
        assertEquals(emptyList<Licence>(), older.licences)
        assertThrows(InputError::class.java) { licences(listOf(row - "holder")) }
    }
}
