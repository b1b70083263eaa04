package tfliteasr.demo

import android.view.View

/** One of the four screens. */
interface Screen {
    val view: View

    /** It is seen from now on. */
    fun show()

    /** The engine has something new. */
    fun update()

    /** It is no longer seen: let go of the microphone and the loudspeaker. */
    fun hide()
}
