package tfliteasr

import java.math.BigDecimal
import java.math.MathContext
import java.math.RoundingMode.HALF_EVEN

/** A number as Python's `format(value, ".<decimals>f")` writes it, whatever the device's language. */
fun fixed(value: Double, decimals: Int): String = BigDecimal(value).setScale(decimals, HALF_EVEN).toPlainString()

/** A number as Python's `format(value, ".<digits>g")` writes it: without zeros at its end, very large ones with an exponent. */
fun general(value: Double, digits: Int = 6): String {
    if (value == 0.0) return "0"
    val rounded = BigDecimal(value).round(MathContext(digits, HALF_EVEN)).stripTrailingZeros()
    val exponent = rounded.precision() - rounded.scale() - 1
    if (exponent in -4 until digits) return rounded.toPlainString()
    val sign = if (exponent < 0) "-" else "+"
    return "${rounded.movePointLeft(exponent).toPlainString()}e$sign${Math.abs(exponent).toString().padStart(2, '0')}"
}

/** The same with a comma between thousands: `format(value, ",.<digits>g")`. */
fun grouped(value: Double, digits: Int): String {
    val text = general(value, digits)
    val whole = text.substringBefore('.')
    if ('e' in text || whole.length <= 3) return text
    return whole.reversed().chunked(3).joinToString(",").reversed() + text.removePrefix(whole)
}
