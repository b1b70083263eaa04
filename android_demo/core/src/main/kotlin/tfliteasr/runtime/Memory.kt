package tfliteasr.runtime

import java.io.File
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

/**
 * How much memory this process holds, in MB of 1,000,000 bytes.
 *
 * @property residentMb all that lies in RAM, also pages of files which the kernel may drop and read again.
 * @property privateMb what the process wrote and what only its end, or swapping, gives back: a phone's limits are about it.
 */
data class ProcessMemory(val residentMb: Double, val privateMb: Double)

/**
 * This process's memory now; null where the kernel does not tell (it does on Linux and Android).
 *
 * @param folder the process's in /proc; kernels before 4.14 have `smaps` and not yet its sum, `smaps_rollup`.
 */
fun processMemory(folder: File = File("/proc/self")): ProcessMemory? {
    val maps = listOf("smaps_rollup", "smaps").map(folder::resolve).firstOrNull { it.canRead() } ?: return null
    var (resident, private) = 0L to 0L
    maps.forEachLine { line ->
        if (line.startsWith("Rss:")) resident += kilobytes(line)
        if (line.startsWith("Private_Dirty:")) private += kilobytes(line)
    }
    return ProcessMemory(resident * 1024 / 1e6, private * 1024 / 1e6)
}

private fun kilobytes(line: String): Long = line.split(Regex("\\s+"))[1].toLong()

/** Runs [block], and samples the private memory of this process in the background: what it gives, and the highest, MB. */
fun <T> watchingMemory(intervalMillis: Long, block: () -> T): Pair<T, Double> {
    val done = CountDownLatch(1)
    var highest = privateMb()
    val probe = Thread({
        while (!done.await(intervalMillis, TimeUnit.MILLISECONDS)) highest = maxOf(highest, privateMb())
    }, "memory-probe").apply { isDaemon = true }
    probe.start()
    val result = try {
        block()
    } finally {
        done.countDown()
        probe.join()
    }
    return result to maxOf(highest, privateMb())
}

/** 0 where the kernel does not tell. */
fun privateMb(): Double = processMemory()?.privateMb ?: 0.0
