"""The files of the tiny English Moonshine, from a wheel, from what pip has installed, or from a folder."""

import email
import hashlib
import importlib.metadata
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tflite_asr.errors import InputError

DISTRIBUTION, VERSION = "moonshine-voice", "0.0.64"  # later wheels do not hold the weights
INSIDE = "moonshine_voice/assets/tiny-en"
INSTALLED = "installed"  # the word that means what pip has installed
DIGESTS = {
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}
MAX_BYTES = 64 * 1024 * 1024  # of one of them; the largest has 30 MB
GET_IT = f"`pip download --no-deps {DISTRIBUTION}=={VERSION}` fetches the right one"


@dataclass(frozen=True)
class OrtFiles:
    """The content of the three files, each with the digest of the pinned version."""

    encoder: bytes
    decoder: bytes
    tokenizer: bytes
    where: str  # for errors


def read_installed() -> OrtFiles:
    """The files of the installed package, which is not imported."""
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{INSTALLED}: {DISTRIBUTION} is not installed: pip install 'tflite_asr[english]'") from None
    _check_version(f"{INSTALLED}: {DISTRIBUTION}", distribution.version)
    return read_folder(Path(str(distribution.locate_file(INSIDE))))


def read_wheel(path: Path) -> OrtFiles:
    """The files of a wheel of the pinned version."""
    try:
        with zipfile.ZipFile(path) as wheel:
            sizes = {info.filename: info.file_size for info in wheel.infolist()}
            metadata = [name for name in sizes if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]

            def read(name: str) -> bytes:
                if name not in sizes:
                    raise InputError(f"{path}: expected {name} in it; {GET_IT}")
                if sizes[name] > MAX_BYTES:
                    found = f"expected at most {MAX_BYTES} bytes, got {sizes[name]}"
                    raise InputError(f"{path}: {name}: {found}; {GET_IT}")
                return wheel.read(name)

            about = email.message_from_bytes(read(metadata[0])) if metadata else {}
            name = str(about.get("Name", ""))
            if re.sub(r"[-_.]+", "-", name).lower() != DISTRIBUTION:
                got = name or "no package"
                raise InputError(f"{path}: expected a wheel of {DISTRIBUTION}, got one of {got}; {GET_IT}")
            _check_version(str(path), str(about.get("Version", "")))
            return _checked(str(path), lambda file: read(f"{INSIDE}/{file}"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: not a wheel, or a damaged one ({error}); {GET_IT}") from None


def read_folder(folder: Path) -> OrtFiles:
    """The files of a folder that holds the three files."""

    def read(file: str) -> bytes:
        path = folder / file
        if not path.is_file():
            raise InputError(f"{folder}: expected {', '.join(DIGESTS)} in it, {file} is missing; {GET_IT}")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, got {path.stat().st_size}; {GET_IT}")
        return path.read_bytes()

    return _checked(str(folder), read)


def _check_version(what: str, version: str) -> None:
    if version != VERSION:
        got = version or "none"
        raise InputError(f"{what}: expected version {VERSION}, which holds the weights, got {got}; {GET_IT}")


def _checked(where: str, read: Callable[[str], bytes]) -> OrtFiles:
    contents = []
    for file, expected in DIGESTS.items():
        content = read(file)
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected:
            raise InputError(
                f"{where}: {file}: expected sha256 {expected} (tiny English of {DISTRIBUTION} {VERSION}), got "
                f"{digest}; "
                f"it is of another model or damaged; {GET_IT}"
            )
        contents.append(content)
    return OrtFiles(*contents, where=where)
