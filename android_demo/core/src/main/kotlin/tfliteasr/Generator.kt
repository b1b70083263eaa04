package tfliteasr

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.ln1p
import kotlin.math.sqrt

/**
 * The random numbers of NumPy's `default_rng(seed)`, draw for draw, so that a personalisation here takes the utterances, joins
 * and noise that Python's takes.
 *
 * PCG64 (O'Neill 2014) over the seeds as NumPy's SeedSequence mixes them; normal numbers by the ziggurat (Marsaglia and Tsang
 * 2000).
 *
 * @param seeds each from 0 to 2^32 - 1.
 */
class Generator(vararg seeds: Long) {
    private var high = 0L // of the 128 bits of state
    private var low = 0L
    private val increment: LongArray
    private var spare: Long? = null // half of 64 bits that were drawn

    init {
        val words = seededWords(seeds)
        increment = longArrayOf((words[2] shl 1) or (words[3] ushr 63), (words[3] shl 1) or 1)
        step()
        addToState(words[0], words[1])
        step()
    }

    /** From 0 on, below 1. */
    fun random(): Double = (bits64() ushr 11) / 9007199254740992.0

    fun uniform(from: Double, to: Double): Double = from + (to - from) * random()

    /** From [low] to [high], both of them among what may come. */
    fun integers(low: Int, high: Int): Int = low + below(high - low)

    /** 0 until [count] in another order. */
    fun permutation(count: Int): IntArray = (0 until count).toMutableList().also(::shuffle).toIntArray()

    fun <T> shuffle(items: MutableList<T>) {
        for (last in items.lastIndex downTo 1) swap(items, last, masked(last))
    }

    /** [size] different ones of 0 until [count] (Floyd's algorithm). */
    fun choice(count: Int, size: Int): List<Int> {
        val chosen = ArrayList<Int>()
        for (last in count - size until count) {
            val drawn = below(last)
            chosen.add(if (drawn in chosen) last else drawn)
        }
        for (last in size - 1 downTo 1) swap(chosen, last, below(last))
        return chosen
    }

    /** Normal, of mean 0 and deviation 1, from 32 random bits where NumPy is asked for float32. */
    fun normalFloat(): Float {
        while (true) {
            val bits = bits32()
            val layer = (bits and 0xff).toInt()
            val magnitude = (bits ushr 9) and 0x7fffff
            val x = magnitude * Ziggurat.widths32[layer] * (if ((bits shr 8) and 1 == 1L) -1 else 1)
            if (magnitude < Ziggurat.inside32[layer]) return x
            if (layer == 0) return tail32(negative = (magnitude shr 8) and 1 == 1L)
            val (above, under) = Ziggurat.densities[layer - 1].toFloat() to Ziggurat.densities[layer].toFloat()
            if ((above - under) * float() + under < exp(-0.5 * x * x)) return x
        }
    }

    /** Normal, of mean 0 and deviation 1. */
    fun normal(): Double {
        while (true) {
            val bits = bits64()
            val layer = (bits and 0xff).toInt()
            val magnitude = (bits ushr 9) and 0xfffffffffffffL
            val x = magnitude * Ziggurat.widths64[layer] * (if ((bits shr 8) and 1 == 1L) -1 else 1)
            if (magnitude < Ziggurat.inside64[layer]) return x
            if (layer == 0) return tail64(negative = (magnitude shr 8) and 1 == 1L)
            val (above, under) = Ziggurat.densities[layer - 1] to Ziggurat.densities[layer]
            if ((above - under) * random() + under < exp(-0.5 * x * x)) return x
        }
    }

    /** Of [freedom] degrees, more than 2: twice a gamma variate (Marsaglia and Tsang 2000, A simple method). */
    fun chisquare(freedom: Int): Double {
        val shape = freedom / 2.0 - 1.0 / 3.0
        val scale = 1 / sqrt(9 * shape)
        while (true) {
            var x: Double
            do x = normal() while (1 + scale * x <= 0)
            val cube = (1 + scale * x).let { it * it * it }
            val u = random()
            if (u < 1 - 0.0331 * x * x * x * x || ln(u) < 0.5 * x * x + shape * (1 - cube + ln(cube))) return 2 * shape * cube
        }
    }

    private fun tail32(negative: Boolean): Float {
        while (true) {
            val x = -(1 / Ziggurat.EDGE).toFloat() * ln1p(-float())
            val y = -ln1p(-float())
            if (y + y > x * x) return (Ziggurat.EDGE.toFloat() + x) * (if (negative) -1 else 1)
        }
    }

    private fun tail64(negative: Boolean): Double {
        while (true) {
            val x = -1 / Ziggurat.EDGE * ln1p(-random())
            val y = -ln1p(-random())
            if (y + y > x * x) return (Ziggurat.EDGE + x) * (if (negative) -1 else 1)
        }
    }

    /** From 0 to [most], by a product (Lemire 2019). */
    private fun below(most: Int): Int {
        if (most == 0) return 0
        val count = most + 1L
        var product = bits32() * count
        val least = (WORD - most) % count // of the lower half, for all to be as likely
        while (product and WORD < least) product = bits32() * count
        return (product ushr 32).toInt()
    }

    /** From 0 to [most], by leaving out what is greater. */
    private fun masked(most: Int): Int {
        val mask = (Integer.highestOneBit(most).toLong() shl 1) - 1
        while (true) (bits32() and mask).let { if (it <= most) return it.toInt() }
    }

    private fun <T> swap(items: MutableList<T>, one: Int, other: Int) {
        items[one] = items.set(other, items[one])
    }

    private fun float(): Float = (bits32() ushr 8) * (1f / 16777216f)

    private fun bits32(): Long = spare?.also { spare = null } ?: bits64().let {
        spare = it ushr 32
        it and WORD
    }

    private fun bits64(): Long {
        step()
        return java.lang.Long.rotateRight(high xor low, (high ushr 58).toInt())
    }

    /** state = state * multiplier + increment, modulo 2^128 */
    private fun step() {
        high = high * MULTIPLIER_LOW + low * MULTIPLIER_HIGH + upperHalf(low, MULTIPLIER_LOW)
        low *= MULTIPLIER_LOW
        addToState(increment[0], increment[1])
    }

    private fun addToState(moreHigh: Long, moreLow: Long) {
        low += moreLow
        val carry = if (java.lang.Long.compareUnsigned(low, moreLow) < 0) 1 else 0
        high += moreHigh + carry
    }

    private companion object {
        const val WORD = 0xffffffffL
        const val MULTIPLIER_HIGH = 2549297995355413924L
        const val MULTIPLIER_LOW = 4865540595714422341L

        /** The upper 64 of the 128 bits of a product of unsigned numbers. */
        fun upperHalf(a: Long, b: Long): Long {
            val (aHigh, aLow) = (a ushr 32) to (a and WORD)
            val (bHigh, bLow) = (b ushr 32) to (b and WORD)
            val middle = aHigh * bLow + (aLow * bLow ushr 32)
            val other = aLow * bHigh + (middle and WORD)
            return aHigh * bHigh + (middle ushr 32) + (other ushr 32)
        }

        /** Four 64-bit words of the seeds: NumPy's SeedSequence, a pool of four 32-bit words. */
        fun seededWords(seeds: LongArray): LongArray {
            val hash = Hash(0x43b0d7e5, 0x931e8875)
            val pool = LongArray(4) { hash.of(seeds.getOrElse(it) { 0 }) }
            for (from in 0 until 4) for (to in 0 until 4) if (from != to) pool[to] = mixed(pool[to], hash.of(pool[from]))
            for (at in 4 until seeds.size) for (to in 0 until 4) pool[to] = mixed(pool[to], hash.of(seeds[at]))
            val second = Hash(0x8b51f9dd, 0x58f38ded)
            val words = LongArray(8) { second.of(pool[it % 4]) }
            return LongArray(4) { words[2 * it] or (words[2 * it + 1] shl 32) }
        }

        fun mixed(x: Long, y: Long): Long = (0xca01f9ddL * x - 0x4973f715L * y and WORD).let { it xor (it ushr 16) }
    }

    private class Hash(private var constant: Long, private val factor: Long) {
        fun of(value: Long): Long {
            val mixed = value xor constant
            constant = constant * factor and WORD
            return (mixed * constant and WORD).let { it xor (it ushr 16) }
        }
    }
}

/** The normal density cut into 256 layers of one area; a layer's `width` is of a unit of the random bits. */
private object Ziggurat {
    const val EDGE = 3.6541528853610087963519472518 // where the tail begins
    private const val AREA = 0.0049286732339746519

    private val edges = DoubleArray(256).also { edges ->
        edges[255] = EDGE
        for (layer in 254 downTo 1) edges[layer] = sqrt(-2 * ln(AREA / edges[layer + 1] + density(edges[layer + 1])))
    }
    val densities = DoubleArray(256) { density(edges[it]) }
    val widths32 = FloatArray(256) { (width(it) / UNITS_32).toFloat() }
    val inside32 = LongArray(256) { (inside(it) * UNITS_32).toLong() }
    val widths64 = DoubleArray(256) { width(it) / UNITS_64 }
    val inside64 = LongArray(256) { (inside(it) * UNITS_64).toLong() }

    private const val UNITS_32 = 8388608.0
    private const val UNITS_64 = 4503599627370496.0

    private fun density(x: Double) = exp(-0.5 * x * x)

    private fun width(layer: Int) = if (layer == 0) AREA / density(EDGE) else edges[layer]

    /** The share of a layer that lies under the density whatever the height. */
    private fun inside(layer: Int) = if (layer == 0) EDGE * density(EDGE) / AREA else edges[layer - 1] / edges[layer]
}
