package tfliteasr.demo

import android.media.AudioRecord
import org.robolectric.shadows.ShadowAudioRecord
import org.robolectric.shadows.ShadowAudioRecord.AudioRecordSource

/** What `AudioRecord` reads: the samples given, then nothing more until the recording is stopped. */
class FakeMicrophone(private val samples: ShortArray) : AudioRecordSource {
    @Volatile
    private var position = 0

    /** Whether all was read. */
    val drained: Boolean get() = position == samples.size

    override fun readInShortArray(target: ShortArray, offset: Int, size: Int, blocking: Boolean): Int {
        val count = minOf(size, samples.size - position)
        if (count == 0) Thread.sleep(1)
        samples.copyInto(target, offset, position, position + count)
        position += count
        return count
    }

    companion object {
        /** The next recordings hear these samples. */
        fun says(samples: ShortArray): FakeMicrophone = FakeMicrophone(samples).also { heard ->
            ShadowAudioRecord.setSourceProvider { heard }
        }

        /** Another app holds the microphone. */
        fun busy() = ShadowAudioRecord.setSourceProvider {
            object : AudioRecordSource {
                override fun readInShortArray(target: ShortArray, offset: Int, size: Int, blocking: Boolean) =
                    AudioRecord.ERROR_DEAD_OBJECT
            }
        }
    }
}
