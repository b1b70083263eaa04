package tfliteasr.demo

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import tfliteasr.personalization.Epoch

/** Validation loss and word error rate by pass, each from 0 to its highest; told in words to a screen reader. */
class CurveView(context: Context, attributes: AttributeSet) : View(context, attributes) {
    var history: List<Epoch> = emptyList()
        set(value) {
            if (value == field) return
            field = value
            contentDescription = described()
            invalidate()
        }

    private val density = resources.displayMetrics.density
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeWidth = 3 * density
    }
    private val text = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 14f, resources.displayMetrics)
    }

    init {
        contentDescription = described()
    }

    private fun described(): String {
        val last = history.lastOrNull()
        val words = if (last == null) {
            context.getString(R.string.train_curve_empty)
        } else {
            context.getString(R.string.train_epoch, last.epoch, 100 * last.validationWer, last.validationLoss)
        }
        return context.getString(R.string.train_curve, words)
    }

    override fun onDraw(canvas: Canvas) {
        draw(canvas, history.map { it.validationLoss }, R.color.curve_loss, R.string.train_loss, row = 1)
        draw(canvas, history.map { it.validationWer }, R.color.curve_wer, R.string.train_wer, row = 2)
    }

    private fun draw(canvas: Canvas, values: List<Double>, color: Int, name: Int, row: Int) {
        line.color = context.getColor(color)
        text.color = line.color
        canvas.drawText(context.getString(name), 4 * density, row * 1.3f * text.textSize, text)
        val top = 3 * text.textSize
        val highest = values.filter { it.isFinite() }.maxOrNull()?.takeIf { it > 0 } ?: return
        fun x(index: Int) = (width - 8 * density) * index / maxOf(1, values.lastIndex) + 4 * density
        fun y(value: Double) = height - 4 * density - ((height - top - 8 * density) * (value / highest)).toFloat()
        for (index in 1 until values.size) {
            if (values[index - 1].isFinite() && values[index].isFinite()) {
                canvas.drawLine(x(index - 1), y(values[index - 1]), x(index), y(values[index]), line)
            }
        }
    }
}
