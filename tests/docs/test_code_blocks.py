"""The code blocks of README.md, CONTRIBUTING.md and docs/: Python runs, commands are run or parsed, JSON is read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from shell_blocks import ROOT, check, commands_of, options_of
from sybil import Document, Sybil
from sybil.example import Example
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from tflite_asr import Settings, personalize
from tflite_asr.cli.main import COMMANDS

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "android_demo" / "README.md",
        *(ROOT / "docs").glob("*.md"),
    )
)
NOT_RUN = {"text", "kotlin"}  # the JVM tests and android_demo/consumer do what the blocks of android_demo/README.md do
LANGUAGES = {"python", "sh", "json", *NOT_RUN}
FENCE = re.compile(r"^```(.*)\n", re.MULTILINE)
INLINE = re.compile(r"`tflite-asr ([^`]+)`")


def read_shell(example: Example) -> None:
    written = set()  # by commands of the block that are not run
    for command in commands_of(example.parsed):
        check(command, Path(example.path).parent, run=not written & set(command))
        if "--out" in command:
            written.add(command[command.index("--out") + 1])


def read_json(example: Example) -> None:
    for line in example.parsed.splitlines():
        json.loads(line)


def read(name: str) -> Document:
    parsers = [PythonCodeBlockParser(), CodeBlockParser("sh", read_shell), CodeBlockParser("json", read_json)]
    return Sybil(parsers).parse(ROOT / name)


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    """A folder with the recordings that examples name: tones, 16 kHz, mono."""
    (tmp_path / "recordings").mkdir()
    names = ("mine", *(f"recordings/{name}" for name in ("turn_left", "go", "stop", "up", "down", "yes", "no", "on")))
    for number, name in enumerate(names):
        tone = 0.3 * np.sin(np.arange(8_000 + 900 * number) * (0.1 + 0.02 * number))
        soundfile.write(tmp_path / f"{name}.wav", tone.astype(np.float32), 16_000)
    monkeypatch.chdir(tmp_path)
    # two epochs where the README takes the default of forty
    quick = {**personalize.__kwdefaults__, "settings": Settings(epochs=2)}
    monkeypatch.setattr(personalize, "__kwdefaults__", quick)
    return tmp_path


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.slow  # README.md personalises
def test_blocks_run(name, working_folder, capsys):
    for example in read(name).examples():
        example.evaluate()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_say_what_they_are(name):
    """A block without a language would not be tested."""
    opened = FENCE.findall((ROOT / name).read_text(encoding="utf-8"))[::2]
    assert set(opened) <= LANGUAGES, f"{name}: {set(opened) - LANGUAGES}"
    tested = len(list(read(name).examples()))
    assert tested == sum(language not in NOT_RUN for language in opened)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_the_text_have_these_options(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for command in INLINE.findall(text):
        check_options(command)


def test_the_readme_lists_every_command_with_options_that_it_has():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## The commands\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    listed = [check_options(row.replace("\\|", "|")) for row in rows]
    assert set(COMMANDS) <= set(listed)
    for row, described in re.findall(r"^\| `(.*?)` \| (.*) \|$", section, re.MULTILINE):
        for option in re.findall(r"`(--[\w-]+)", described):
            assert option in options_of(row.split()[0]), f"{row}: {option}"


def check_options(command: str) -> str:
    """The name of a command whose options all exist."""
    name, *words = command.split()
    if name == "COMMAND":
        return name
    assert name in COMMANDS, command
    missing = {word.strip("[]") for word in words if word.startswith(("--", "[--"))} - options_of(name)
    assert not missing, f"tflite-asr {name}: {missing}"
    return name


def test_links_lead_somewhere():
    for name in DOCUMENTS:
        path = ROOT / name
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            file, _, anchor = target.partition("#")
            if file.startswith(("http:", "https:")):
                continue
            linked = (path.parent / file).resolve() if file else path
            assert linked.exists(), f"{name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{name}: {target}"


def test_a_wrong_command_is_noticed(tmp_path):
    for line in ("tflite-asr personalise commands", "make nothing", "pip install '.[nothing]'", "rm -rf runs"):
        with pytest.raises(AssertionError):
            check(commands_of(line)[0], tmp_path)
    with pytest.raises(AssertionError):
        check_options("evaluate commands --speed 1")
