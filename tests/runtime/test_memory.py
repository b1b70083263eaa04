import mmap
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from tflite_asr.errors import InputError
from tflite_asr.runtime import memory
from tflite_asr.runtime.memory import SMAPS_ROLLUP, MemoryProbe, process_memory_mb

ALLOCATED_MB = 64


def written_block():
    """Resident and private memory that goes back when it is closed, whatever the allocator has kept of other tests."""
    block = mmap.mmap(-1, ALLOCATED_MB * 1_000_000)
    block.write(b"\1" * len(block))
    return block


def test_a_passing_allocation_is_in_the_peaks_and_gone_at_the_end():
    with MemoryProbe(interval_seconds=0.01) as probe:
        block = written_block()
        time.sleep(0.1)
        block.close()
        time.sleep(0.1)
    first, last = probe.samples[0], probe.samples[-1]
    for figure, peak in (("rss_mb", probe.peak_rss_mb), ("private_mb", probe.peak_private_mb)):
        assert peak - first[figure] > 0.95 * ALLOCATED_MB
        assert peak - last[figure] > 0.9 * ALLOCATED_MB


def test_what_was_freed_before_the_block_is_not_counted():
    block = written_block()
    with_block_mb, _ = process_memory_mb()
    block.close()
    with MemoryProbe(interval_seconds=0.01) as probe:
        time.sleep(0.05)
    assert probe.peak_rss_mb < with_block_mb - 0.9 * ALLOCATED_MB


def test_resident_is_what_psutil_says_and_private_no_more():
    rss_mb, private_mb = process_memory_mb()
    assert rss_mb == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.05, abs=2)
    assert 0 < private_mb <= rss_mb


def test_psutil_stands_in_where_the_kernel_has_no_sum(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "SMAPS_ROLLUP", tmp_path / "absent")
    rss_mb, private_mb = process_memory_mb()
    assert 0 < private_mb <= rss_mb


def test_long_runs_are_thinned_without_losing_either_peak():
    probe = MemoryProbe()
    for index in range(12_345):
        probe._add(
            {
                "seconds": float(index),
                "rss_mb": 999.0 if index == 777 else 100.0,
                "private_mb": 888.0 if index == 12_001 else 50.0,
            }
        )
        assert len(probe.samples) <= MemoryProbe.MAX_SAMPLES
    seconds = [sample["seconds"] for sample in probe.samples]
    assert len(seconds) > MemoryProbe.MAX_SAMPLES / 2
    assert np.ptp(np.diff(seconds)) == 0
    assert (probe.peak_rss_mb, probe.peak_private_mb) == (999.0, 888.0)
    assert abs(max(probe.samples, key=lambda sample: sample["rss_mb"])["seconds"] - 777) < seconds[1]


def test_the_thread_ends_with_the_block_also_by_an_error():
    with pytest.raises(RuntimeError, match="inside"), MemoryProbe():
        raise RuntimeError("inside")
    assert "memory-probe" not in [thread.name for thread in threading.enumerate()]


def test_times_rise_from_zero():
    with MemoryProbe(interval_seconds=0.01) as probe:
        time.sleep(0.1)
    seconds = [sample["seconds"] for sample in probe.samples]
    assert 0 <= seconds[0] < 0.1
    assert seconds == sorted(seconds)
    assert 0.1 <= seconds[-1] < 10
    assert len(seconds) >= 3  # of some 11: the machine may be busy


FAULTS = """
import resource, sys
import numpy as np
from tflite_asr.runtime.memory import keep_freed_memory

if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
for turn in range(8):
    np.ones(10_000_000)
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_kept_memory_is_not_mapped_again():
    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert 20 * faults("keep") < faults("as it is")


def test_it_takes_a_small_share_of_the_time(monkeypatch):
    """Ten ms a measurement: over 0.6 s at most one every 0.2 s, by the processor's clock of its own thread."""
    taken = []

    def slow():
        start = time.thread_time()
        while time.thread_time() - start < 0.01:
            pass
        taken.append(start)
        return 1.0, 1.0

    monkeypatch.setattr("tflite_asr.runtime.memory.process_memory_mb", slow)
    with MemoryProbe(interval_seconds=0.001):
        time.sleep(0.6)
    assert 3 <= len(taken) <= 2 + 1 + 3  # one before, one after, one at once, then three
    taken.clear()
    with MemoryProbe(interval_seconds=0.001, most_share=1.0):
        time.sleep(0.6)
    assert len(taken) > 7


@pytest.mark.parametrize("interval_seconds", [0, -1, float("nan")])
def test_an_interval_that_is_none_is_refused(interval_seconds):
    with pytest.raises(InputError, match="over 0 seconds"):
        MemoryProbe(interval_seconds)


STEP = """
import sys
from tflite_asr.runtime.batch import longest_examples
from tflite_asr.runtime.memory import process_memory_mb
from tflite_asr.runtime.recognizer import Recognizer
recognizer = Recognizer.load("commands", **eval(sys.argv[2]))
examples = longest_examples(recognizer.config)
for _ in range(2):
    recognizer.train_step(examples, plan=sys.argv[1])
print(process_memory_mb()[1])
"""


@pytest.mark.skipif(not SMAPS_ROLLUP.exists(), reason="private dirty memory is told by Linux alone")
def test_the_split_step_gives_memory_back_from_python():
    def private_mb(plan, **options):
        done = subprocess.run(
            [sys.executable, "-c", STEP, plan, repr(options)], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    whole, split, kept = private_mb("train"), private_mb("split"), private_mb("split", return_memory=False)
    assert split < 0.75 * whole and split < 0.8 * kept, f"{split:.0f} of {whole:.0f} MB, {kept:.0f} with what was freed"
