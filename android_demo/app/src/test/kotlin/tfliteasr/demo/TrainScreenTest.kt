package tfliteasr.demo

import android.content.ComponentCallbacks2
import android.view.View
import android.widget.ProgressBar
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertTrue
import org.junit.Test
import tfliteasr.personalization.RoundsState

class TrainScreenTest : ScreenTest() {
    private fun learned(name: String): File? = stored.resolve("learned").walk().firstOrNull { it.name == name }

    @Test
    fun `too few recordings cannot be trained on, and it is told`() {
        open(R.id.tab_train)
        keep(4)
        tab(R.id.tab_train)
        assertEquals(4, recordings())
        assertFalse(view<View>(R.id.start).isEnabled)
        assertEquals(string(R.string.train_few, 5), text(R.id.state))
    }

    @Test
    fun `training shows its progress, and keeps the best`() {
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        assertTrue(engine.state.running)
        assertFalse(view<View>(R.id.start).isEnabled)
        assertTrue(text(R.id.step), Regex("Step [0-9] of [0-9], loss [0-9.]+").matches(text(R.id.step)))
        assertTrue(text(R.id.round), text(R.id.round).contains("layers learn"))
        assertEquals(engine.state.steps, view<ProgressBar>(R.id.progress).max)
        until("it is done") { !engine.state.running }
        assertEquals(string(R.string.stopped_done), text(R.id.state))
        assertEquals(listOf(0, 1, 2), engine.state.history.map { it.epoch })
        val curve = view<CurveView>(R.id.curve).contentDescription.toString()
        assertTrue(curve, curve.contains("Pass 2"))
        assertNotNull(learned("checkpoint.safetensors"))
        assertFalse(view<View>(R.id.stop).isEnabled)
    }

    @Test
    fun `the phone is turned in the middle of training, which goes on`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        val epochs = engine.state.history.size
        app.recreate()
        assertTrue(engine.state.running)
        assertTrue(view<View>(R.id.stop).isEnabled)
        val shown = text(R.id.step)
        until("the new screen shows new steps") { text(R.id.step) != shown && engine.state.history.size > epochs }
        assertEquals(engine.state.history, view<CurveView>(R.id.curve).history)
    }

    @Test
    fun `stop ends it within two seconds and says so`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin(2)
        val pressed = System.nanoTime()
        press(R.id.stop)
        until("it ends") { !engine.state.running }
        val seconds = (System.nanoTime() - pressed) / 1e9
        assertTrue("stopped after $seconds s", seconds < 2)
        assertEquals(string(R.string.stopped_asked), text(R.id.state))
        assertNotNull(learned("checkpoint.safetensors"))
        assertTrue(view<View>(R.id.start).isEnabled)
    }

    @Test
    fun `a memory warning stops it, and the screen says what is kept`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        @Suppress("DEPRECATION")
        application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW)
        until("it ends") { !engine.state.running }
        assertEquals(string(R.string.stopped_low_memory), text(R.id.state))
    }

    @Test
    fun `the screen going away stops nothing`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        app.pause().stop()
        application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN)
        val epochs = engine.state.history.size
        until("an epoch more is trained") { engine.state.history.size > epochs }
        app.restart().start().resume()
        idle()
        assertEquals(engine.state.history, view<CurveView>(R.id.curve).history)
    }

    @Test
    fun `free memory that runs out stops it`() = stopsWhen(R.string.stopped_low_memory) { memory(freeMb = 100) }

    @Test
    fun `a battery that runs low stops it`() = stopsWhen(R.string.stopped_low_battery) { battery(percent = 20) }

    @Test
    fun `a phone that gets warm stops it`() = stopsWhen(R.string.stopped_too_hot) { battery(percent = 90, celsius = 45) }

    private fun stopsWhen(words: Int, happens: () -> Unit) {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        happens()
        until("it ends") { !engine.state.running }
        assertEquals(string(words), text(R.id.state))
    }

    @Test
    fun `a phone without memory to spare does not begin, and says so`() {
        memory(freeMb = 100)
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        train()
        assertEquals(string(R.string.stopped_low_memory), text(R.id.state))
        assertEquals(0, engine.state.step)
    }

    @Test
    fun `memory for no plan at all is told`() {
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        memory(freeMb = 201) // one more than is to stay for others
        train()
        assertEquals(string(R.string.stopped_no_plan_fits), text(R.id.state))
    }

    @Test
    fun `another process goes on where the former one was stopped`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin(2)
        until("an epoch is done") { engine.state.history.size > 1 }
        press(R.id.stop)
        until("it ends") { !engine.state.running }
        val before = RoundsState.read(learned("rounds.json")!!).rounds.single().history
        app.pause().stop().destroy()
        application.restart()
        open(R.id.tab_train)
        begin()
        until("an epoch more is done") { engine.state.history.size > 1 }
        assertEquals(before.last().epoch + 1, engine.state.history.last().epoch)
    }

    @Test
    fun `a process that is killed while it trains leaves what the next one goes on from`() {
        TestApplication.settings = TestApplication.ENDLESS
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        begin()
        until("an epoch is done") { engine.state.history.size > 1 }
        val copy = File("target/killed").also { it.deleteRecursively() } // what is on disk at this moment
        stored.resolve("learned").copyRecursively(copy)
        press(R.id.stop)
        until("it ends") { !engine.state.running }
        app.pause().stop().destroy()
        application.restart()
        stored.resolve("learned").deleteRecursively()
        copy.copyRecursively(stored.resolve("learned"))
        open(R.id.tab_train)
        begin()
        until("an epoch more is done") { engine.state.history.size > 1 }
        assertTrue(engine.state.history.last().epoch > 1)
        assertEquals(null, engine.state.problem)
    }

    @Test
    fun `what was learned and cannot be read is set aside and told`() {
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        train()
        learned("checkpoint.safetensors")!!.writeText("damaged")
        app.pause().stop().destroy()
        application.restart()
        open(R.id.tab_listen)
        listen(0)
        until("it is told") { text(R.id.message) == string(R.string.problem_checkpoint) }
        assertNotNull(learned("unreadable.safetensors"))
    }

    @Test
    fun `a recording that is damaged later is told`() {
        open(R.id.tab_train)
        keep()
        stored.resolve("recordings/00002.wav").writeText("damaged")
        tab(R.id.tab_train)
        begin()
        assertFalse(engine.state.running)
        assertEquals(string(R.string.problem_training), text(R.id.state))
    }

    @Test
    fun `new recordings are learned from with what was learned before`() {
        open(R.id.tab_train)
        keep()
        tab(R.id.tab_train)
        train()
        keep(Speech.sound(9), Speech.texts[9])
        tab(R.id.tab_train)
        train()
        assertEquals(string(R.string.stopped_done), text(R.id.state))
        assertEquals(0, engine.state.history.first().epoch)
    }
}
