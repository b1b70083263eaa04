"""The files of a training: to resume from, and to follow its progress."""

import json
import sys
from pathlib import Path

import tensorflow as tf

from tflite_asr.errors import InputError
from tflite_asr.files import read_text, write_whole


class Record:
    """The files of a training besides weights: `history.jsonl` and `tensorboard/` for each epoch, and `resume/`.

    Args:
        folder: where to write.
        state: what `resume/` stores.
        epochs: finished ones; later rows of the history are dropped.

    Raises:
        InputError: `history.jsonl` is damaged.
    """

    def __init__(self, folder: Path, state: tf.train.Checkpoint, epochs: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "history.jsonl"
        try:
            rows = [json.loads(line) for line in read_text(self.path).splitlines()] if self.path.exists() else []
        except json.JSONDecodeError:
            raise InputError(
                f"{self.path}: a line of it is not JSON; remove that line or train into another folder"
            ) from None
        self.rows = rows[:epochs]
        self._write()
        self.manager = tf.train.CheckpointManager(state, str(folder / "resume"), max_to_keep=1)
        self.board = tf.summary.create_file_writer(str(folder / "tensorboard"))

    @property
    def best_wer(self) -> float:
        """Lowest word error rate on the development speech so far; infinity before the first."""
        return min((row["development_wer"] for row in self.rows if "development_wer" in row), default=float("inf"))

    def _write(self) -> None:
        write_whole(self.path, "".join(json.dumps(row) + "\n" for row in self.rows).encode())

    def append(self, row: dict) -> None:
        """Write the row of a finished epoch, and the state."""
        self.rows.append(row)
        print(json.dumps(row), file=sys.stderr)
        self._write()
        with self.board.as_default(step=row["epoch"]):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        self.manager.save()
