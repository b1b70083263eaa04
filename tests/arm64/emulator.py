"""A folder with 64-bit ARM Linux in it: QEMU's user mode, Debian 12's Python and the wheels of the base install.

Nothing of the system is changed: no root, no container, no binfmt. What was downloaded is kept.
"""

import configparser
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tflite_asr.errors import InputError

PROJECT = Path(__file__).parents[2]
PROCESSOR = "cortex-a76"
# of a Cortex-A76: LiteRT 2.3 reads which instructions there are from this file, and the host's names those of x86
CPUINFO = """processor\t: 0
BogoMIPS\t: 48.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
WHEELS = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in (17, 26, 27, 28, 34)]
TOOLS = ("apt-get", "dpkg")
RUNTIME = "ai-edge-litert"


class Emulator:
    """Runs Python 3.11 for 64-bit ARM.

    Args:
        folder: what it needs is downloaded to here when it is not there yet.
    """

    def __init__(self, folder: Path):
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise InputError(f"the emulation is made of Debian 12's packages: found no {' and no '.join(missing)}")
        self._folder, self._root, self._host = folder, folder / "root", folder / "host"
        if not (folder / "unpacked").exists():
            self._unpack_debian()
        self._install_wheels("base", _base_requirements())

    def add_runtime(self, *requirements: str) -> None:
        """Install wheels of another runtime, for `run(..., runtime=requirements[0])`."""
        self._install_wheels(requirements[0], list(requirements), "--no-deps")

    def run(self, *arguments: str | Path, runtime: str | None = None) -> None:
        """Run Python with these arguments; its output goes where this process's goes.

        Args:
            arguments: of Python: a script, and what it takes.
            runtime: one that was added; the base install's when None.
        """
        packages = [self._wheels(runtime)] if runtime else []
        packages.append(self._wheels("base"))
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join(map(str, [PROJECT, *packages]))
        environment = kept | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        qemu = [self._host / "usr/bin/qemu-aarch64-static", "-L", self._root, "-cpu", PROCESSOR]
        # without site: it would read the host's packages
        _run([*qemu, self._root / "usr/bin/python3.11", "-S", *arguments], capture=False, env=environment)

    def _unpack_debian(self) -> None:
        state, cache = self._folder / "apt/state", self._folder / "apt/cache"
        for folder in (state / "lists/partial", cache / "archives/partial"):
            folder.mkdir(parents=True, exist_ok=True)
        (state / "status").touch()  # of a system on which nothing is installed
        host = _run(["dpkg", "--print-architecture"]).strip()
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures": f"arm64,{host}",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # else root's apt downloads as another user, who may not write here
            "Acquire::Languages": "none",
            "Dir::State": str(state),
            "Dir::State::status": str(state / "status"),
            "Dir::Cache": str(cache),
        }
        apt = ["apt-get", "--quiet=2", *(f"-o{name}={value}" for name, value in settings.items())]
        print("downloading QEMU and Debian's Python for arm64", flush=True)
        _run([*apt, "update"])
        _run([*apt, "install", "--yes", "--download-only", "python3.11", "libstdc++6", f"qemu-user-static:{host}"])
        for package in sorted((cache / "archives").glob("*.deb")):
            _run(["dpkg", "-x", package, self._host if package.stem.endswith(f"_{host}") else self._root])
        # QEMU looks for each absolute path under root first
        (self._root / "proc").mkdir(exist_ok=True)
        (self._root / "proc/cpuinfo").write_text(CPUINFO)
        (self._folder / "unpacked").touch()

    def _install_wheels(self, name: str, requirements: list[str], *options: str) -> None:
        target, installed = self._wheels(name), self._folder / f"wheels/{name}.txt"
        wanted = "\n".join(requirements)
        if installed.exists() and installed.read_text() == wanted:
            return
        print(f"installing arm64 wheels: {name}", flush=True)
        installed.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", target]
        _run([*pip, "--only-binary=:all:", "--python-version=3.11", *WHEELS, *options, *requirements])
        installed.write_text(wanted)

    def _wheels(self, name: str) -> Path:
        return self._folder / "wheels" / name


def _base_requirements() -> list[str]:
    config = configparser.ConfigParser()
    config.read(PROJECT / "setup.cfg", encoding="utf-8")
    wanted = config["options"]["install_requires"].split()
    # num2words needs a package without a wheel; it is imported for texts with digits alone
    wanted = [requirement for requirement in wanted if not requirement.startswith(("num2words", RUNTIME))]
    return [*wanted, f"{RUNTIME}=={version(RUNTIME)}"]  # the one of this machine, so that the two compare


def _run(command: list[str | Path], *, capture: bool = True, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output, unless it goes where this process's goes."""
    result = subprocess.run(command, capture_output=capture, text=True, env=env)
    if result.returncode:
        output = f": {(result.stderr or result.stdout).strip()[-2000:]}" if capture else ""
        raise InputError(f"{' '.join(map(str, command))} ended with {result.returncode}{output}")
    return result.stdout or ""
