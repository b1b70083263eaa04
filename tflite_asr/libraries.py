"""Gives libraries that need a writable cache folder at import a temporary one if there is none."""

import os
import tempfile
from pathlib import Path
from types import ModuleType

from tflite_asr.errors import InputError

# what numba and matplotlib read the place of their caches from, and where that is otherwise
_CACHES = {"NUMBA_CACHE_DIR": ".cache", "MPLCONFIGDIR": ".config"}


def home_folder() -> Path | None:
    """The user's; None for one who has none, as in a container without an entry for its user."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def give_caches() -> None:
    """Let numba and matplotlib write below the system's temporary folder when the home folder cannot be written to."""
    missing = {variable for variable, folder in _CACHES.items() if variable not in os.environ and not _writable(folder)}
    if home_folder() is None and "XDG_CACHE_HOME" not in os.environ:
        missing.add("XDG_CACHE_HOME")  # librosa asks for it at its import
    for variable in missing:
        folder = Path(tempfile.gettempdir()) / f"tflite_asr-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if not os.access(folder, os.W_OK) or folder.is_symlink():
                folder = Path(tempfile.mkdtemp(prefix="tflite_asr-"))
        except OSError as error:
            raise InputError(
                f"{folder}: expected a temporary folder to write to: {error.strerror}; set TMPDIR"
            ) from None
        os.environ[variable] = str(folder)


def load_librosa() -> ModuleType:
    """Import librosa, and check that its dependencies load: it imports numba on first use."""
    give_caches()
    try:
        import librosa

        _ = librosa.stft, librosa.effects.time_stretch
    except Exception as error:  # whatever a numba that does not fit raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"cannot load librosa: {reason}; install it again: pip install --force-reinstall librosa"
        ) from error
    return librosa


def _writable(folder: str) -> bool:
    """Whether a folder of the user's home can be written to, or made."""
    home = home_folder()
    if home is None:
        return False
    place = home / folder
    return os.access(place if place.exists() else home, os.W_OK)
