"""The description of a study, from a TOML file: speech, environments, and how each trains."""

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tflite_asr.errors import InputError
from tflite_asr.files import read_text
from tflite_asr.personalization.resources import Limits
from tflite_asr.personalization.settings import Pace

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ENVIRONMENTS = ("server", "mobile", "both")


@dataclass(frozen=True)
class Speech:
    """Rows of a manifest."""

    manifest: str
    where: str = ""  # rows to keep, as `read_manifest` takes it; empty keeps all
    connect: int = 1  # most clips of one string


@dataclass(frozen=True)
class Server:
    """Training on a server: all of a speaker's data, Keras, no time limit."""

    epochs: int = 12
    epoch_steps: int = 25
    batch: int = 16
    learning_rate: float | None = None  # the model's own
    replay: int = 8  # rows of a batch that hold shipped utterances


@dataclass(frozen=True)
class Mobile(Pace):
    """A sliding window, the batch of the artifact, the TFLite runtime."""

    learning_rate: float | None = None  # the model's own
    replay: int = 2
    # of a speaker's utterances: random by seed, since corpora are sorted by word, or time, the order of the manifest
    order: str = "random"


@dataclass(frozen=True)
class PhoneSettings(Limits):
    """The simulated phone and its resources."""

    trace: str = ""  # JSON Lines, see `personalization.resources`; empty: nothing ever interrupts
    step_seconds: float = 1.0  # of the simulated clock
    ram_mb: float = 0.0  # private memory that training may take; the result tells whether it did; 0 does not ask


@dataclass(frozen=True)
class Study:
    """The whole study. Paths are relative to the TOML file, or to where the command was called."""

    speech: tuple[Speech, ...]
    model: str = "commands"
    environment: str = "both"
    others: Speech | None = None  # on whom to measure what is forgotten
    subsets: bool = False  # compare what to train, see `subsets.py`, under mobile conditions
    adapters: str = ""  # the model as `export --adapters` or `--lora` makes it, to compare as well
    test_share: float = 0.3  # of a speaker's rows, the last ones, where no split says which are for testing
    hold_out_words: float = 0.0  # share of a speaker's words, drawn by seed, that nothing is learned from
    seed: int = 0
    server: Server = field(default_factory=Server)
    mobile: Mobile = field(default_factory=Mobile)
    phone: PhoneSettings = field(default_factory=PhoneSettings)


def read_study(path: Path) -> dict[str, Any]:
    """The fields of a `Study` that a TOML file gives, its paths made relative to the working directory."""
    text = read_text(path, "the description of a study in TOML")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: expected the description of a study in TOML: {error}") from None
    given = _values(Study, table, str(path))
    folder = path.parent

    def placed(speech: Speech) -> Speech:
        return dataclasses.replace(speech, manifest=str(folder / speech.manifest))

    if "speech" in given:
        given["speech"] = tuple(placed(speech) for speech in given["speech"])
    if given.get("others"):
        given["others"] = placed(given["others"])
    for name in ("model", "adapters"):
        if given.get(name, "").endswith(".tflite"):
            given[name] = str(folder / given[name])
    if "phone" in given and given["phone"].trace:
        given["phone"] = dataclasses.replace(given["phone"], trace=str(folder / given["phone"].trace))
    return given


def check_study(study: Study) -> None:
    """InputError for settings that are out of range."""
    checks: list[tuple[str, bool, str, Any]] = [
        ("environment", study.environment in ENVIRONMENTS, f"one of {', '.join(ENVIRONMENTS)}", study.environment)
    ]
    checks.append(("test_share", 0 < study.test_share < 1, "more than 0 and less than 1", study.test_share))
    checks.append(("hold_out_words", 0 <= study.hold_out_words < 1, "0 or more, less than 1", study.hold_out_words))
    checks.append(("mobile.order", study.mobile.order in ("random", "time"), "random or time", study.mobile.order))
    for part in ("server", "mobile"):
        for name, value in dataclasses.asdict(getattr(study, part)).items():
            if name == "learning_rate":
                checks.append((f"{part}.{name}", value is None or 0 < value < 1, "more than 0 and less than 1", value))
            elif name != "order":
                least = 0 if name == "replay" else 1
                checks.append((f"{part}.{name}", value >= least, f"{least} or more", value))
    checks.append(("phone.step_seconds", study.phone.step_seconds > 0, "more than 0", study.phone.step_seconds))
    checks.append(("seed", 0 <= study.seed < 2**32, "0 to 4294967295", study.seed))
    for speech in (*study.speech, *([study.others] if study.others else [])):
        checks.append((f"{speech.manifest}: connect", speech.connect >= 1, "1 or more", speech.connect))
    for name, good, expected, value in checks:
        if not good:
            raise InputError(f"study: {name}: expected {expected}, got {value}")


def _values(kind: type["DataclassInstance"], table: Any, where: str) -> dict[str, Any]:
    """The fields of a dataclass that a TOML table gives; InputError for unknown names and wrong types."""
    hints, fields = typing.get_type_hints(kind), {f.name: f for f in dataclasses.fields(kind)}
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, got {table!r}")
    for name in table:
        if name not in fields:
            raise InputError(f"{where}: no such setting: {name}; there are {', '.join(fields)}")
    return {name: _value(hints[name], value, f"{where}: {name}") for name, value in table.items()}


def _filled(kind: type["DataclassInstance"], table: Any, where: str) -> "DataclassInstance":
    """A dataclass from a TOML table; InputError for unknown or missing names and wrong types."""
    values = _values(kind, table, where)
    for f in dataclasses.fields(kind):
        name = f.name
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: expected {name}, it is not given")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """A value of a TOML table as the type that the dataclass wants."""
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: expected an array of tables, got {value!r}")
        return tuple(_filled(typing.get_args(hint)[0], row, where) for row in value)
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _filled(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
