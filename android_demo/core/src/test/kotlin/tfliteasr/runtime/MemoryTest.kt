package tfliteasr.runtime

import java.io.File
import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class MemoryTest {
    @TempDir
    lateinit var folder: File

    @Test
    fun `memory is summed up, by the kernel or over its mappings`() {
        assertNull(processMemory(folder))
        folder.resolve("smaps").writeText("a-b rw-p\nRss:  100 kB\nPrivate_Dirty:  60 kB\nc-d r--p\nRss:  50 kB\nPrivate_Dirty:   0 kB\n")
        assertEquals(ProcessMemory(150 * 1024 / 1e6, 60 * 1024 / 1e6), processMemory(folder))
        folder.resolve("smaps_rollup").writeText("a-b ---p [rollup]\nRss:  200 kB\nPrivate_Dirty:  70 kB\n")
        assertEquals(ProcessMemory(200 * 1024 / 1e6, 70 * 1024 / 1e6), processMemory(folder))
    }

    @Test
    fun `the highest is seen`() {
        val before = privateMb()
        val (size, highest) = watchingMemory(2) { ByteBuffer.allocateDirect(60_000_000).capacity() }
        assertEquals(60_000_000, size)
        assertTrue(highest > before + 50, "$before, then $highest")
    }
}
