package tfliteasr.runtime

import java.io.File

/**
 * How much memory this process holds, in MB of 1,000,000 bytes.
 *
 * @property residentMb all that lies in RAM, also pages of files which the kernel may drop and read again.
 * @property privateMb what the process wrote and what only its end, or swapping, gives back: a phone's limits are about it.
 */
class ProcessMemory(val residentMb: Double, val privateMb: Double)

/** This process's memory now; null where the kernel does not tell (it does on Linux and Android). */
fun processMemory(rollup: File = File("/proc/self/smaps_rollup")): ProcessMemory? {
    if (!rollup.canRead()) return null
    val kilobytes = rollup.readLines().drop(1).map { it.split(Regex("\\s+")) } // the first line is the address range
        .associate { it[0] to it[1].toLong() }
    val resident = kilobytes["Rss:"] ?: return null
    val private = kilobytes["Private_Dirty:"] ?: return null
    return ProcessMemory(resident * 1024 / 1e6, private * 1024 / 1e6)
}
