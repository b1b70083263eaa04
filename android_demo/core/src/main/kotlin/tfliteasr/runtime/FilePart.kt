package tfliteasr.runtime

import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel

// fields of the flatbuffer's tables, by their order in the schema
private const val SUBGRAPHS = 2 // of Model
private const val SIGNATURES = 7
private const val OPERATORS = 3 // of SubGraph
private val VECTORS = 0..OPERATORS // tensors, inputs, outputs, operators
private const val OPTIONS_TYPE = 3 // of Operator
private const val OPTIONS = 4
private const val KEY = 2 // of SignatureDef
private const val SUBGRAPH = 4

/** Options of operators that call subgraphs, by type: If, While, CallOnce; their fields are indices of subgraphs. */
private val CALLS = mapOf(92 to 2, 93 to 2, 103 to 1)

/**
 * A part of a .tflite: some of its signatures, without what only the others need.
 *
 * A runtime lays out every subgraph of a file when it loads it, and packs the constant weights of each at the first call. A
 * part has the bytes of the whole file, but for a few: vectors of subgraphs that are left out get the length 0, and the
 * signatures that are kept stand at the start of their vector. The file is mapped copy on write, so that only the pages of
 * these bytes are copied; it stays as it is.
 *
 * @return the content for an interpreter; null for a file that cannot be mapped so, because it is not writable: it is loaded
 *     whole.
 */
fun filePart(path: File, signatures: Set<String>): ByteBuffer? {
    if (!path.canWrite()) return null // a private mapping has to be of a file that is open for writing
    return RandomAccessFile(path, "rw").use { file ->
        file.channel.map(FileChannel.MapMode.PRIVATE, 0, file.length()).also { keepSignatures(it, signatures) }
    }
}

/**
 * Leave all but some [signatures] out of a .tflite, in place; those that it lacks are ignored.
 *
 * Subgraph 0 stays: XNNPACK is not applied to a file whose first subgraph is empty.
 */
fun keepSignatures(content: ByteBuffer, signatures: Set<String>) {
    content.order(ByteOrder.LITTLE_ENDIAN)
    val model = Table(content, content.getInt(0))
    val graphs = model.tables(SUBGRAPHS)
    val kept = model.tables(SIGNATURES).filter { it.string(KEY) in signatures }
    val needed = called(graphs, kept.map { it.int(SUBGRAPH) } + 0)
    val vectors = needed.flatMap { index -> VECTORS.map { graphs[index].vector(it) } }.toSet()
    for ((index, graph) in graphs.withIndex()) {
        if (index in needed) continue
        VECTORS.map { graph.vector(it) }.filter { it !in vectors }.forEach { content.putInt(it, 0) }
    }
    val start = model.vector(SIGNATURES)
    kept.forEachIndexed { place, definition ->
        val slot = start + 4 + 4 * place
        content.putInt(slot, definition.at - slot)
    }
    content.putInt(start, kept.size)
}

/** The indices of some subgraphs and of those that their operators call. */
private fun called(graphs: List<Table>, first: List<Int>): Set<Int> {
    val found = HashSet<Int>()
    val open = ArrayDeque(first)
    while (open.isNotEmpty()) {
        val index = open.removeLast()
        if (!found.add(index)) continue
        for (operator in graphs[index].tables(OPERATORS)) {
            repeat(CALLS[operator.byte(OPTIONS_TYPE)] ?: 0) { open.add(operator.table(OPTIONS).int(it)) }
        }
    }
    return found
}

/** A table of a flatbuffer, which starts at [at]. */
private class Table(private val content: ByteBuffer, val at: Int) {
    /** A number; 0, which is what the schema's fields have by default, where it is absent. */
    fun int(field: Int): Int = place(field).let { if (it == 0) 0 else content.getInt(it) }

    fun byte(field: Int): Int = place(field).let { if (it == 0) 0 else content.get(it).toInt() and 0xff }

    /** A table that is there. */
    fun table(field: Int) = Table(content, target(place(field)))

    /** Where a vector's length stands; of an absent one the place of this table, which no vector has. */
    fun vector(field: Int): Int = place(field).let { if (it == 0) at else target(it) }

    /** The tables of a vector, none of an absent one. */
    fun tables(field: Int): List<Table> {
        if (place(field) == 0) return emptyList()
        val start = vector(field)
        return List(content.getInt(start)) { Table(content, target(start + 4 + 4 * it)) }
    }

    fun string(field: Int): String {
        val start = vector(field)
        return String(ByteArray(content.getInt(start)) { content.get(start + 4 + it) })
    }

    private fun target(place: Int) = place + content.getInt(place)

    /** Where a field stands; 0 if it is absent. */
    private fun place(field: Int): Int {
        val names = at - content.getInt(at)
        if (4 + 2 * field >= content.getShort(names)) return 0
        val offset = content.getShort(names + 4 + 2 * field).toInt()
        return if (offset == 0) 0 else at + offset
    }
}
