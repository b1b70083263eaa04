"""The memory of this process over time.

Two figures, because a phone's limits are about the second: **resident** is all that lies in RAM, also pages of
files which the kernel may drop and read again, such as a mapped model; **private** is what the process wrote and
what only its end, or swapping, gives back. One MB is 1,000,000 bytes.
"""

import ctypes
import threading
import time
from pathlib import Path

import psutil

from tflite_asr.errors import InputError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of malloc.h
# glibc 2.35 and later use huge pages if this is set before the process starts
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
MAPPED_BYTES = 1 << 18  # blocks from here on are given back one by one
SMAPS_ROLLUP = Path("/proc/self/smaps_rollup")  # Linux and Android


def process_memory_mb() -> tuple[float, float]:
    """(resident, private) memory of this process now, in MB.

    Private is the dirty private memory where the kernel tells it. psutil has it only summed up from every
    mapping, too slow to sample by, so the kernel's own sum is read; elsewhere private is psutil's unique set
    size, which has clean private pages in it too and so is never less.
    """
    if SMAPS_ROLLUP.exists():
        kilobytes = {}
        for line in SMAPS_ROLLUP.read_text().splitlines()[1:]:  # the first line is the address range
            name, value, _ = line.split()
            kilobytes[name] = int(value)
        return kilobytes["Rss:"] * 1024 / 1e6, kilobytes["Private_Dirty:"] * 1024 / 1e6
    info = psutil.Process().memory_full_info()
    return info.rss / 1e6, info.uss / 1e6


def give_back_freed_memory() -> bool:
    """Make the C allocator return large blocks to the system when they are freed; returns whether that was possible.

    glibc by default keeps what was freed, so that the memory of a finished call would still count. Blocks over the
    threshold are mapped on their own instead. It holds for the whole process and for good. Other allocators, Android's
    among them, map large blocks anyway.

    Blocks that come and go are paid for in page faults, twelve times fewer where the process was started with
    `HUGE_PAGES` in its environment.
    """
    return _set_allocator((M_MMAP_THRESHOLD, MAPPED_BYTES), (M_TRIM_THRESHOLD, MAPPED_BYTES))


def keep_freed_memory() -> bool:
    """Make the C allocator keep what was freed for the next block of that size; returns whether that was possible.

    For training on a server, where each step takes and frees hundreds of MB: glibc would map them anew each time, at a
    page fault for every 4 kB. It holds for the whole process and for good.
    """
    return _set_allocator((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_ARENA_MAX, 1))


def _set_allocator(*options: tuple[int, int]) -> bool:
    """Set options of glibc's allocator; False where there is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    done = [mallopt(option, value) for option, value in options]  # all of them, also after one that failed
    return all(done)


class MemoryProbe:
    """Samples the memory of this process in the background for as long as the `with` block runs.

        with MemoryProbe() as probe:
            train()
        print(probe.peak_private_mb)

    The peaks are those of the samples, so something shorter than the interval can escape. The kernel's own
    peak (`ru_maxrss`) misses nothing but is that of the whole life of the process: it would blame the block for
    what was loaded and freed before it. A probe is used once.

    The kernel takes tens of ms to sum up a process of a GB, so the interval grows until that is at most `most_share` of
    the time; with 1 it never grows.
    """

    MAX_SAMPLES = 500  # even, so that pairs can be merged; more than a plot has pixels for

    def __init__(self, interval_seconds: float = 0.1, most_share: float = 0.05) -> None:
        if not interval_seconds > 0:
            raise InputError(f"memory probe: expected an interval over 0 seconds, got {interval_seconds}")
        self._interval_seconds = interval_seconds
        self._most_share = most_share
        self._samples: list[dict[str, float]] = []
        self._stride = 1  # measurements a sample stands for
        self._measured = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-probe", daemon=True)

    def __enter__(self) -> "MemoryProbe":
        self._start_seconds = time.monotonic()
        self._measure()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._measure()

    @property
    def samples(self) -> list[dict[str, float]]:
        """At most `MAX_SAMPLES` of {seconds, rss_mb, private_mb}, seconds since the block began.

        In a long run a sample stands for a period from `seconds` on and holds the highest of each
        figure in it, so no peak is lost.
        """
        with self._lock:
            return [dict(sample) for sample in self._samples]

    @property
    def peak_rss_mb(self) -> float:
        """Highest resident memory seen, MB."""
        return max((sample["rss_mb"] for sample in self.samples), default=0.0)

    @property
    def peak_private_mb(self) -> float:
        """Highest private memory seen, MB."""
        return max((sample["private_mb"] for sample in self.samples), default=0.0)

    def _run(self) -> None:
        seconds = 0.0
        while not self._stop.wait(max(self._interval_seconds, seconds / self._most_share)):
            start = time.thread_time()
            self._measure()
            seconds = time.thread_time() - start

    def _measure(self) -> None:
        # before the kernel sums up, which a busy machine takes its time for
        seconds = time.monotonic() - self._start_seconds
        rss_mb, private_mb = process_memory_mb()
        self._add({"seconds": seconds, "rss_mb": rss_mb, "private_mb": private_mb})

    def _add(self, sample: dict[str, float]) -> None:
        with self._lock:
            if self._measured % self._stride:
                self._samples[-1] = _highest(self._samples[-1], sample)
            else:
                if len(self._samples) == self.MAX_SAMPLES:
                    self._samples = [_highest(*pair) for pair in zip(self._samples[::2], self._samples[1::2])]
                    self._stride *= 2
                self._samples.append(sample)
            self._measured += 1


def _highest(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {
        "seconds": first["seconds"],
        "rss_mb": max(first["rss_mb"], second["rss_mb"]),
        "private_mb": max(first["private_mb"], second["private_mb"]),
    }
