package tfliteasr

/**
 * A JSON object whose values are asked for by name and kind; what is missing or of another kind is an [InputError].
 *
 * @param place what an error names as the place of the object, such as `commands.json: sizes`.
 */
class JsonObject(private val values: Map<*, *>, val place: String) {
    val names: Set<String> get() = values.keys.mapTo(LinkedHashSet()) { it as String }

    operator fun contains(name: String): Boolean = values[name] != null

    fun isString(name: String): Boolean = values[name] is String

    fun string(name: String): String = value<String>(name, "a string")

    fun boolean(name: String): Boolean = value<Boolean>(name, "true or false")

    fun long(name: String): Long = value<Long>(name, "a whole number")

    fun int(name: String): Int {
        val found = long(name)
        if (found < Int.MIN_VALUE || found > Int.MAX_VALUE) throw InputError("$place: expected a smaller number as '$name', got $found")
        return found.toInt()
    }

    fun double(name: String): Double = value<Number>(name, "a number").toDouble()

    fun strings(name: String): List<String> = value<List<*>>(name, "a list").map {
        it as? String ?: throw InputError("$place: expected only strings in '$name', got ${Json.write(it)}")
    }

    fun shape(name: String): IntArray = value<List<*>>(name, "a list").map {
        (it as? Long)?.toInt() ?: throw InputError("$place: expected whole numbers in '$name', got ${Json.write(it)}")
    }.toIntArray()

    fun numbers(name: String): List<Double> = value<List<*>>(name, "a list").map { number(it, name) }

    fun matrix(name: String): List<List<Double>> = value<List<*>>(name, "a list").map { row ->
        (row as? List<*> ?: throw InputError("$place: expected only lists in '$name'")).map { number(it, name) }
    }

    private fun number(value: Any?, name: String): Double =
        (value as? Number)?.toDouble() ?: throw InputError("$place: expected only numbers in '$name', got ${Json.write(value)}")

    fun at(name: String): JsonObject = JsonObject(value<Map<*, *>>(name, "an object"), "$place: $name")

    fun list(name: String): List<JsonObject> = value<List<*>>(name, "a list").mapIndexed { index, item ->
        JsonObject(
            item as? Map<*, *> ?: throw InputError("$place: expected only objects in '$name', got ${Json.write(item)}"),
            "$place: $name[$index]",
        )
    }

    private inline fun <reified T> value(name: String, kind: String): T {
        val value = values[name]
        return value as? T ?: throw InputError("$place: expected $kind as '$name', got ${shortened(Json.write(value))}")
    }

    private fun shortened(text: String) = if (text.length <= 60) text else text.take(57) + "..."

    companion object {
        /** The object that a text holds. */
        fun parse(text: String, place: String): JsonObject {
            val value = try {
                Json.parse(text)
            } catch (error: InputError) {
                throw InputError("$place: ${error.message}")
            }
            return JsonObject(value as? Map<*, *> ?: throw InputError("$place: expected a JSON object"), place)
        }
    }
}
