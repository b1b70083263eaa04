"""Files that are written whole or not at all, text files, and folders with one writer at a time."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import psutil

from tflite_asr.errors import InputError

Content = bytes | Callable[[BinaryIO], object]  # what a file holds, or a function that writes it into the open file
# what a file system says when it cannot do something, rather than when it failed to
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}
LONGEST_NAME = 100  # of the part of a temporary name that tells whose it is; file systems end at 255 bytes


class FolderNotSynchronised(OSError):
    """A file was written whole under its name, but the disk failed to confirm the name."""


def write_whole(path: Path, content: Content) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; OSError when the disk refuses."""
    write_together({path: content})


def write_together(files: Mapping[Path, Content]) -> None:
    """Write several files that appear, one right after the other, once all of them are whole on the disk.

    Each has the permissions that the umask gives. No two processes share a temporary file; those of processes that were
    killed are removed. A file system that cannot synchronise a folder is not an error.
    """
    temporaries = {path: temporary_path(path) for path in files}
    try:
        for path, content in files.items():
            with temporaries[path].open("xb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                _synchronise(file.fileno())
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    finally:
        for temporary in temporaries.values():
            with contextlib.suppress(OSError):  # gone by the rename, or never there
                temporary.unlink()
    for path in files:
        remove_leftovers(path)
    for folder in dict.fromkeys(path.parent for path in files):
        _synchronise_folder(folder)


def temporary_path(path: Path) -> Path:
    """A name beside `path` that no other process, thread or call uses."""
    return path.with_name(f".{path.name[:LONGEST_NAME]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def remove_leftovers(path: Path) -> None:
    """Delete the temporary files and folders of `path` that processes of this machine left behind when they were
    killed.
    """
    import shutil

    pattern = re.compile(re.escape(f".{path.name[:LONGEST_NAME]}.") + r"(\d{1,9})\.[0-9a-f]{8}\.tmp")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            match = pattern.fullmatch(entry.name)
            if match and not psutil.pid_exists(int(match[1])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def _synchronise(descriptor: int) -> None:
    """Flush a file to disk, if the file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _synchronise_folder(folder: Path) -> None:
    """The same for the names in a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # folders that may be written but not read, and systems that do not open folders
        return
    try:
        _synchronise(descriptor)
    except OSError as error:
        raise FolderNotSynchronised(error.errno, error.strerror, str(folder)) from error
    finally:
        os.close(descriptor)


def read_text(path: Path | str, what: str = "a text file") -> str:
    """A text file in UTF-8, with or without a byte order mark, its line ends as line feeds.

    Args:
        path: the file.
        what: it is expected to be, for the InputError when it cannot be read.
    """
    content = read_bytes(path, what)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected {what} in UTF-8, byte {error.start} is not; convert it") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path | str, what: str = "a file") -> bytes:
    """A file's content; InputError when it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, what, error) from None


def check_readable(place: Path | str, what: str, path: Path | None = None) -> None:
    """InputError when a file is missing or may not be read, so that no reader takes that for damage.

    Args:
        place: the file, as the error names it.
        what: it is expected to be.
        path: of the file where `place` says more.
    """
    try:
        with Path(path or place).open("rb"):
            pass
    except OSError as error:
        raise unreadable(place, what, error) from None


def unreadable(path: Path | str, what: str, error: OSError) -> InputError:
    """A system error as one line."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return InputError(f"{path}: expected {what}, cannot read it: {reason}")


@contextlib.contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Hold a file or folder for this process; InputError when another process holds it.

    The lock is `.NAME.lock` beside `out`, or inside a folder whose parent cannot be written. It ends with the process,
    however that ends. Where the file system has no locks, nothing is held and nothing is refused.
    """
    out = Path(os.path.realpath(out))
    made = [folder for folder in out.parents if not folder.exists()]
    with contextlib.suppress(OSError):  # what cannot be made is told by the one who writes there
        out.parent.mkdir(parents=True, exist_ok=True)
    inside = out.is_dir() and not os.access(out.parent, os.W_OK)
    path = (out if inside else out.parent) / f".{out.name[:LONGEST_NAME]}.lock"
    descriptor = None
    try:
        descriptor = _locked(path, out)
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is held: who waits for the removed file notices and takes another
            os.close(descriptor)
        for folder in made:  # where nothing came of it
            with contextlib.suppress(OSError):
                folder.rmdir()


def _locked(path: Path, out: Path) -> int | None:
    """A descriptor that holds the lock file; None where that cannot be."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # a folder that cannot be written; a file of another user
            return None
        try:
            held = _try_lock(descriptor)
            if held is None:
                os.close(descriptor)
                return None
            if not held:
                pid = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
                raise InputError(f"{out}: another run is writing here (pid {pid}); wait for it or choose another --out")
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its former holder removed it meanwhile


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _try_lock(descriptor: int) -> bool | None:
    """Lock an open file without waiting: whether it could; None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
