"""The utterances that a phone stores: the newest, limited in number and in bytes on disk."""

from pathlib import Path

from tflite_asr.errors import InputError
from tflite_asr.files import write_whole
from tflite_asr.personalization.stored import packed, read_stored
from tflite_asr.runtime.artifact import Artifact
from tflite_asr.runtime.batch import Example

SUFFIX = ".safetensors"


class Window:
    """A folder of numbered files, one per utterance; the oldest is deleted before a new one is stored.

    Utterances that an earlier process stored are kept; one process at a time may write to the folder.

    Args:
        folder: made if need be; holds nothing else.
        artifact: whose sizes the utterances must fit.
        most_utterances, most_bytes: of the folder, at any time; file names and the folder itself are not counted.
    """

    def __init__(self, folder: Path, artifact: Artifact, most_utterances: int, most_bytes: int):
        batch = artifact.config.sizes.batch
        if most_utterances < batch:
            raise InputError(f"window: expected room for a batch of {batch} utterances or more, got {most_utterances}")
        self.folder, self.artifact = folder, artifact
        self.most_utterances, self.most_bytes = most_utterances, most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".*{SUFFIX}.*tmp"):  # of a process that was killed while it wrote
            left.unlink()
        self._bytes = {int(path.stem): path.stat().st_size for path in sorted(folder.glob(f"*{SUFFIX}"))}
        self._forget_until(most_utterances, most_bytes)
        self.disk_bytes_max = self.disk_bytes()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the stored utterances, oldest first; the first utterance ever is 0."""
        return sorted(self._bytes)

    @property
    def arrived(self) -> int:
        """How many utterances have come so far, forgotten ones among them."""
        return max(self._bytes, default=-1) + 1

    def add(self, example: Example) -> None:
        """Store an utterance; InputError when it is larger than the window, or the disk refuses."""
        content, number = packed([example], self.artifact.config.features), self.arrived
        if len(content) > self.most_bytes:
            raise InputError(
                f"{example.where or 'utterance'}: expected at most the window's {self.most_bytes} bytes, "
                f"it has {len(content)}; give the window more"
            )
        self._forget_until(self.most_utterances - 1, self.most_bytes - len(content))
        try:
            write_whole(self._path(number), content)
        except OSError as error:
            raise InputError(f"{self._path(number)}: could not store an utterance: {error.strerror}") from None
        self._bytes[number] = len(content)
        self.disk_bytes_max = max(self.disk_bytes_max, self.disk_bytes())

    def read(self, number: int) -> Example:
        """An utterance that is kept."""
        return read_stored(self._path(number), self.artifact, "delete it")[0]

    def forget(self, number: int) -> None:
        """Delete an utterance; InputError when it is not kept."""
        if number not in self._bytes:
            raise InputError(f"window: expected an utterance that is kept, got number {number}")
        self._path(number).unlink(missing_ok=True)
        del self._bytes[number]

    def forget_all(self) -> None:
        """Delete every utterance."""
        self._forget_until(0, 0)

    def disk_bytes(self) -> int:
        """The size of the folder's files, as the file system reports it."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def _forget_until(self, utterances: int, size: int) -> None:
        while self._bytes and (len(self._bytes) > utterances or sum(self._bytes.values()) > size):
            oldest = min(self._bytes)
            self._path(oldest).unlink(missing_ok=True)
            del self._bytes[oldest]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}{SUFFIX}"
