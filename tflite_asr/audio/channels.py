"""One channel of several, with nothing that is said lost."""

import numpy as np

DEAD_SHARE = 1e-4  # a channel with less power than this share of the loudest's (-40 dB) has no speech
CANCELLED_SHARE = 0.5  # of the power that the mean of unrelated channels has; below it they cancel each other


def mixed(channels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """[frames, channels] float32 -> [frames], the mean of the channels with sound; and notices of what was done.

    Channels of opposite polarity, as of a balanced lead in a stereo socket, cancel each other; of these the loudest is
    taken.
    """
    count = channels.shape[1]
    if count == 1:
        return channels[:, 0], []
    power = np.var(channels, axis=0, dtype=np.float64)
    alive = np.flatnonzero(power > DEAD_SHARE * power.max(initial=0.0))
    if len(alive) == 1:
        return channels[:, alive[0]], [f"took one of {count} channels, there is no sound in the others"]
    mean = channels[:, alive].mean(axis=1) if len(alive) else channels.mean(axis=1)
    if len(alive) and np.var(mean, dtype=np.float64) < CANCELLED_SHARE * power[alive].mean() / len(alive):
        return channels[:, np.argmax(power)], [f"took the loudest of {count} channels, mixed they cancel each other"]
    left_out = f", {count - len(alive)} without sound left out" if 0 < len(alive) < count else ""
    return mean, [f"mixed {count} channels down to one{left_out}"]
