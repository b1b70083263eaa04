package tfliteasr.jvm

import tfliteasr.InputError

/** The arguments of a command: so many in their places, options with a value, and flags. */
class Arguments(given: List<String>, places: Int, options: Set<String>, flags: Set<String>) {
    val positional = ArrayList<String>()
    private val named = HashMap<String, String>()

    init {
        val rest = given.iterator()
        while (rest.hasNext()) {
            val argument = rest.next()
            val name = argument.removePrefix("--")
            when {
                name == argument -> positional.add(argument)
                name in flags -> named[name] = ""
                name !in options ->
                    throw InputError("no such option: $argument; there are ${(options + flags).joinToString { "--$it" }}")
                rest.hasNext() -> named[name] = rest.next()
                else -> throw InputError("$argument: expected a value")
            }
        }
        if (positional.size != places) {
            throw InputError("expected $places arguments beside the options, got ${positional.size}; --help says which")
        }
    }

    fun option(name: String): String? = named[name]

    fun needed(name: String): String = named[name] ?: throw InputError("expected --$name; --help says what for")

    fun flag(name: String): Boolean = name in named

    fun count(name: String, default: Int, least: Int = 1): Int {
        val text = named[name] ?: return default
        return text.toIntOrNull()?.takeIf { it >= least }
            ?: throw InputError("--$name: expected a whole number from $least on, got $text")
    }
}
