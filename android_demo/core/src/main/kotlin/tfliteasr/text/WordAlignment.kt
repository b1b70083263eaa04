package tfliteasr.text

/**
 * The place in [heard] of each word of [said] by an alignment of the fewest edits (Levenshtein 1966); null where it was left
 * out.
 *
 * Of several such alignments it is the one that jiwer takes: equal words at both ends first; from the last of the others back, a
 * word left out rather than any other edit, and a word put in only where all other alignments are longer.
 */
fun alignedPlaces(said: List<String>, heard: List<String>): List<Int?> {
    val places = arrayOfNulls<Int>(said.size)
    val first = said.zip(heard).takeWhile { (left, right) -> left == right }.size
    val fromBehind = said.drop(first).asReversed().zip(heard.drop(first).asReversed())
    val ending = fromBehind.takeWhile { (left, right) -> left == right }.size
    for (place in 0 until first) places[place] = place
    for (fromEnd in 1..ending) places[said.size - fromEnd] = heard.size - fromEnd
    val (rows, columns) = said.subList(first, said.size - ending) to heard.subList(first, heard.size - ending)
    val edits = prefixDistances(rows, columns)
    var (row, column) = rows.size to columns.size
    while (row > 0 && column > 0) {
        when {
            edits[row][column] == edits[row - 1][column] + 1 -> row--
            edits[row][column - 1] == edits[row - 1][column - 1] - 1 -> column--
            else -> places[first + --row] = first + --column
        }
    }
    return places.asList()
}

/** The fewest edits between the first i words of [rows] and the first j of [columns], at [i][j]. */
private fun prefixDistances(rows: List<String>, columns: List<String>): List<IntArray> {
    val edits = List(rows.size + 1) { IntArray(columns.size + 1) }
    for (row in 0..rows.size) {
        for (column in 0..columns.size) {
            edits[row][column] = when {
                row == 0 -> column
                column == 0 -> row
                else -> minOf(
                    edits[row - 1][column - 1] + if (rows[row - 1] == columns[column - 1]) 0 else 1,
                    edits[row - 1][column] + 1,
                    edits[row][column - 1] + 1,
                )
            }
        }
    }
    return edits
}
