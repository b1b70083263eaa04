"""Files that are whole or absent, on file systems that cannot do everything; texts; folders of one run at a time."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from tflite_asr.data.manifest import write_manifest
from tflite_asr.errors import InputError
from tflite_asr.files import FolderNotSynchronised, only_writer, read_text, temporary_path, write_together, write_whole
from tflite_asr.runtime.checkpoint import save_checkpoint

CANNOT = [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF]
WRITERS = {
    "bytes": lambda path: write_whole(path, b"new"),
    "checkpoint": lambda path: save_checkpoint(path, {"a": np.ones(3, np.float32)}, artifact_sha256="0" * 64, step=1),
    "manifest": lambda path: write_manifest(path, [{"audio": "a.wav", "text": "ONE"}]),
}


def failing(monkeypatch, number, folders, files):
    fsync = os.fsync

    def fail(descriptor):
        if folders if stat.S_ISDIR(os.fstat(descriptor).st_mode) else files:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("number", CANNOT)
def test_what_a_file_system_cannot_synchronise_is_no_failure(tmp_path, monkeypatch, number, writer):
    failing(monkeypatch, number, folders=True, files=True)
    WRITERS[writer](tmp_path / "f")
    assert (tmp_path / "f").stat().st_size > 0 and os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_folder_that_may_not_be_opened_is_no_failure(tmp_path, monkeypatch, number):
    open_any = os.open

    def refuse(path, *options, **more):
        if Path(path).is_dir():
            raise OSError(number, os.strerror(number))
        return open_any(path, *options, **more)

    monkeypatch.setattr(os, "open", refuse)
    write_whole(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_fails_leaves_the_former_file(tmp_path, monkeypatch, number, writer):
    (tmp_path / "f").write_bytes(b"old")
    failing(monkeypatch, number, folders=False, files=True)
    with pytest.raises((OSError, InputError), match=os.strerror(number)):
        WRITERS[writer](tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_a_folder_whose_disk_fails_is_told(tmp_path, monkeypatch):
    failing(monkeypatch, errno.EIO, folders=True, files=False)
    with pytest.raises(FolderNotSynchronised):
        write_whole(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"new"


def test_together_or_not_at_all(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def refuse(file):
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        write_together({tmp_path / "a": b"new", tmp_path / "b": refuse})
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
@pytest.mark.parametrize("writer", WRITERS)
def test_files_have_the_permissions_of_the_umask(tmp_path, writer, umask):
    former = os.umask(umask)
    try:
        WRITERS[writer](tmp_path / "f")
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o666 & ~umask


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path):
    contents, problems = [bytes([n]) * 100_000 for n in range(8)], []

    def write(content):
        try:
            for _ in range(20):
                write_whole(tmp_path / "f", content)
        except OSError as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert not problems and (tmp_path / "f").read_bytes() in contents and os.listdir(tmp_path) == ["f"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = temporary_path(tmp_path / "f").name
    left = tmp_path / name.replace(f".{os.getpid()}.", f".{ended.pid}.")
    left.write_bytes(b"half")
    (tmp_path / name).write_bytes(b"of a process that lives")
    (tmp_path / ".g.1.tmp").write_bytes(b"not ours")
    write_whole(tmp_path / "f", b"whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["f", name, ".g.1.tmp"])


def test_a_long_name(tmp_path):
    write_whole(tmp_path / ("n" * 250), b"whole")
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize(
    "content", ["é\nb\n".encode(), "\ufeffé\nb\n".encode(), "é\r\nb\r\n".encode(), "é\rb\r".encode()]
)
def test_texts_are_read_alike(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    assert read_text(tmp_path / "t") == "é\nb\n"


def test_texts_that_cannot_be_read(tmp_path):
    (tmp_path / "t").write_bytes(b"ab\xff")
    with pytest.raises(InputError, match="t: expected a list in UTF-8, byte 2 is not; convert it"):
        read_text(tmp_path / "t", "a list")
    with pytest.raises(InputError, match="cannot read it: is a directory"):
        read_text(tmp_path)
    with pytest.raises(InputError, match="cannot read it: no such file"):
        read_text(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root's right to become somebody else")
def test_permission_denied_is_not_damage(tmp_path):
    from tflite_asr.audio.reading import read_audio
    from tflite_asr.runtime.artifact import sha256
    from tflite_asr.runtime.checkpoint import load_checkpoint
    from tflite_asr.runtime.flatbuffer import read_contents

    path = tmp_path / "f"
    save_checkpoint(path, {}, artifact_sha256="0" * 64, step=1)
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) in folder.parents:
            folder.chmod(0o755)
    readers = [read_text, read_contents, sha256, lambda path: read_audio(path, 16000)]
    readers.append(lambda path: load_checkpoint(path, artifact_sha256="0" * 64, expected={}))
    os.seteuid(65534)
    try:
        for read in readers:
            with pytest.raises(InputError, match="cannot read it: permission denied"):
                read(path)
    finally:
        os.seteuid(0)


HOLD = """
import sys, time
from pathlib import Path
from tflite_asr.files import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_and_a_kill_frees_it(tmp_path):
    out = tmp_path / "deep" / "out"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        message = rf"out: another run is writing here \(pid {holder.pid}\); wait for it or choose another --out"
        for _ in range(2):  # being refused changes nothing
            with pytest.raises(InputError, match=message), only_writer(out):
                raise AssertionError("two writers")
        with only_writer(tmp_path / "deep" / "other"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with only_writer(out):
        out.mkdir()
    assert os.listdir(out.parent) == ["out"], "no lock is left"


def test_where_nothing_came_of_it_no_folder_is_left(tmp_path):
    with only_writer(tmp_path / "a" / "b" / "c"):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_is_no_failure(tmp_path, monkeypatch, number):
    import fcntl

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with only_writer(tmp_path / "out"), only_writer(tmp_path / "out"):
        pass
