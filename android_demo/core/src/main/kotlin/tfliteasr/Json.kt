package tfliteasr

/**
 * JSON without a library, so that a phone and a desktop read it alike: objects become maps in their order, arrays lists,
 * numbers [Long] or [Double].
 */
object Json {
    /** The value of a text; [InputError] tells line and column of what is not JSON. */
    fun parse(text: String): Any? = JsonReader(text).document()

    /** One line of JSON; numbers must be finite, JSON has no others. */
    fun write(value: Any?): String = StringBuilder().also { append(it, value) }.toString()

    private fun append(out: StringBuilder, value: Any?) {
        when (value) {
            null, is Boolean, is Int, is Long -> out.append(value)
            is Float -> append(out, value.toDouble())
            is Double -> {
                require(value.isFinite()) { "JSON has no $value" }
                out.append(value)
            }
            is String -> quote(out, value)
            is Map<*, *> -> appendAll(out, '{', '}', value.entries) { (key, item) ->
                quote(out, key as String)
                out.append(": ")
                append(out, item)
            }
            is Iterable<*> -> appendAll(out, '[', ']', value) { append(out, it) }
            else -> throw IllegalArgumentException("no JSON for ${value.javaClass.name}")
        }
    }

    private fun <T> appendAll(out: StringBuilder, open: Char, close: Char, items: Iterable<T>, item: (T) -> Unit) {
        out.append(open)
        for ((index, value) in items.withIndex()) {
            if (index > 0) out.append(", ")
            item(value)
        }
        out.append(close)
    }

    private fun quote(out: StringBuilder, text: String) {
        out.append('"')
        for (char in text) {
            when {
                char == '"' || char == '\\' -> out.append('\\').append(char)
                char == '\n' -> out.append("\\n")
                char < ' ' -> out.append("\\u").append(char.code.toString(16).padStart(4, '0'))
                else -> out.append(char)
            }
        }
        out.append('"')
    }
}

private class JsonReader(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value(depth = 0)
        space()
        if (at < text.length) fail("the end")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > 100) fail("at most 100 levels")
        space()
        return when (text.getOrNull(at)) {
            '{' -> members(depth)
            '[' -> items(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(depth: Int): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        at++
        space()
        if (taken('}')) return found
        while (true) {
            space()
            if (text.getOrNull(at) != '"') fail("a name in quotes")
            val name = string()
            space()
            if (!taken(':')) fail("a colon")
            found[name] = value(depth + 1)
            space()
            if (taken('}')) return found
            if (!taken(',')) fail("a comma or }")
        }
    }

    private fun items(depth: Int): List<Any?> {
        val found = ArrayList<Any?>()
        at++
        space()
        if (taken(']')) return found
        while (true) {
            found.add(value(depth + 1))
            space()
            if (taken(']')) return found
            if (!taken(',')) fail("a comma or ]")
        }
    }

    private fun string(): String {
        val found = StringBuilder()
        at++
        while (true) {
            val char = text.getOrNull(at) ?: fail("a closing quote")
            if (char < ' ') fail("no control character in a string")
            at++
            when (char) {
                '"' -> return found.toString()
                '\\' -> found.append(escaped())
                else -> found.append(char)
            }
        }
    }

    private fun escaped(): Char = when (val char = text.getOrNull(at++)) {
        '"', '\\', '/' -> char
        'b' -> '\b'
        'f' -> '\u000c'
        'n' -> '\n'
        'r' -> '\r'
        't' -> '\t'
        'u' -> {
            val digits = text.substring(at, minOf(at + 4, text.length))
            if (!Regex("[0-9a-fA-F]{4}").matches(digits)) fail("four hexadecimal digits")
            at += 4
            digits.toInt(16).toChar()
        }
        else -> fail("an escape")
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) fail("a value")
        at += word.length
        return value
    }

    private fun number(): Number {
        val match = NUMBER.find(text, at)
        if (match == null || match.range.first != at) fail("a value")
        at = match.range.last + 1
        return match.value.toLongOrNull() ?: match.value.toDouble()
    }

    private fun space() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun taken(char: Char): Boolean = (text.getOrNull(at) == char).also { if (it) at++ }

    private fun fail(expected: String): Nothing {
        val before = text.substring(0, minOf(at, text.length))
        val line = before.count { it == '\n' } + 1
        throw InputError("not JSON: expected $expected at line $line, column ${before.length - before.lastIndexOf('\n')}")
    }

    private companion object {
        val NUMBER = Regex("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")
    }
}
