"""Commands of documentation: run where they are quick, else parsed by what would run them."""

import argparse
import configparser
import re
import shlex
import subprocess
from pathlib import Path

from tflite_asr.cli.main import build_parser, main

ROOT = Path(__file__).parents[2]
QUICK = {"transcribe", "inspect"}  # commands of this package that are run
OTHER_PROGRAMS = {"adb", "apt-get", "gradle", "java", "mvn"}  # nothing of them can be checked here


def commands_of(source: str) -> list[list[str]]:
    """The commands of a block as words: continued lines joined, comments and the brackets of options removed."""
    lines = source.replace("\\\n", " ").splitlines()
    words = (shlex.split(re.sub(r"[\[\]]", "", line) if "[--" in line else line, comments=True) for line in lines)
    return [command for command in words if command]


def check(command: list[str], folder: Path, run: bool = True) -> None:
    """AssertionError unless the command would run.

    Args:
        command: its words.
        folder: of the document, where scripts are looked up.
        run: whether what is quick is run, and not parsed alone.
    """
    program, *arguments = command
    if program == "tflite-asr":
        parse(arguments)
        if arguments[0] in QUICK and run:
            assert main(arguments) == 0, command
    elif program == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
    elif program == "pip":
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        extras = set(re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", " ".join(arguments)))))
        assert arguments[0] == "install" and extras <= set(setup["options.extras_require"]), command
    elif re.fullmatch(r"(\S*/)?python[\d.]*", program):
        if arguments[0] == "-m":
            assert arguments[1] in ("pytest", "venv", "pip"), command
        else:
            assert (folder / arguments[0]).is_file() or (ROOT / arguments[0]).is_file(), command
    else:
        assert program in OTHER_PROGRAMS, f"{program}: neither known nor checked"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The arguments of `tflite-asr`, as its parser reads them."""
    try:
        return build_parser().parse_args(arguments)
    except SystemExit as end:
        raise AssertionError(f"tflite-asr {shlex.join(arguments)}: exit code {end.code}") from None


def options_of(command: str) -> set[str]:
    """Every option of a command of `tflite-asr`, those of its subcommands among them."""
    found: set[str] = set()
    subparsers = [
        next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices[command]
    ]
    while subparsers:
        for action in subparsers.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                subparsers += action.choices.values()
            found |= set(action.option_strings)
    return found
