"""The artifact: NAME.tflite and, beside it, NAME.json, which says all that a host needs to run it."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tflite_asr.config import ModelConfig
from tflite_asr.config.plans import WHOLE
from tflite_asr.errors import InputError
from tflite_asr.files import check_readable, read_text, write_whole
from tflite_asr.runtime.description import check_description, digest_matches, with_digest
from tflite_asr.text.tokenizer import Tokenizer, tokenizer_from_json

FORMAT = 2  # since 2, inputs have at least one dimension, a file answers invalid lengths and labels, there is a digest
FORMATS = (1, FORMAT)  # that are read
ASSETS = Path(__file__).parent.parent / "assets"
DISTRIBUTIONS = {"english": "tflite-asr-english"}  # of models that the wheel of this package leaves out


@dataclass(frozen=True)
class Artifact:
    """What NAME.json holds."""

    name: str
    tflite_sha256: str
    bytes: int  # of the .tflite
    min_runtime: str  # the oldest TFLite release that has every op version
    allow_flex: bool
    model: dict  # the ModelConfig: sizes, features, encoder, ...
    tokenizer: dict
    optimizer: str
    groups: list[dict]  # name, parameters, bytes, activation_bytes; in the order of `group_rates`
    parameters: list[dict]  # name, tensor, shape, dtype, group, trainable
    state: list[dict]  # the tensors of get_weights and set_weights: tensor, shape, dtype
    exits: list[dict]  # where the encoder can be left: name, group
    signatures: dict[str, dict]  # does, inputs, outputs, reads, writes
    plans: dict[str, list[dict]]  # the ordered signature calls of one training step
    path: Path  # of the .tflite; not written
    gains: Sequence[dict] = ()  # of earlier runs, see `study.gains`: groups, relative_wer_reduction, speakers
    shorter_plans: dict[str, list[dict]] = field(default_factory=dict)  # `plans` for utterances of `sizes.lengths`
    plan_exits: dict[str, int] = field(default_factory=dict)  # up to which exit, from 0, a plan trains
    rescoring: dict | None = None  # how two passes become one: fields of `runtime.second_pass.Rescoring`
    hotwords: dict | None = None  # weight: nats a letter of a hotword, as `tune-hotwords` found it
    owner_views: bool = False  # whether the owner is recognised in several views, see `runtime.views`
    voices: dict | None = None  # weights, means, variances of many voices' mixture: what `runtime.voice` compares with
    calibration: dict | None = None  # of times and confidences of words: fields of `runtime.words.Calibration`
    licences: Sequence[dict] = ()  # of weights that others trained: what, licence, holder, source
    format: int = FORMAT  # of NAME.json; kept when the description is written again

    @property
    def config(self) -> ModelConfig:
        """The model's configuration."""
        return ModelConfig.from_json(self.model)

    @property
    def exit_depths(self) -> list[int]:
        """How many encoder groups are run to each exit."""
        names = [group["name"] for group in self.groups]
        return [names.index(exit["group"]) + 1 for exit in self.exits]

    @property
    def pulls(self) -> bool:
        """Whether training can pull the weights towards the shipped ones."""
        return any(tensor["name"] == "pull" for tensor in self.signatures.get(WHOLE, {"inputs": []})["inputs"])

    @property
    def trainable(self) -> list[dict]:
        """The parameters that training changes; those of frozen groups are constants of the file."""
        return [row for row in self.parameters if row["trainable"]]

    @property
    def low_rank(self) -> bool:
        """Whether low-rank updates train in place of kernels, as `export --lora` makes them."""
        return any(row["name"].endswith("_lora_down") for row in self.trainable)

    @property
    def frozen_groups(self) -> list[str]:
        """The groups that cannot train."""
        live = {row["group"] for row in self.trainable}
        return [group["name"] for group in self.groups if group["name"] not in live]

    def make_tokenizer(self) -> Tokenizer:
        """The tokenizer of the first pass."""
        return tokenizer_from_json(self.tokenizer)

    def to_json(self) -> dict:
        """The content of NAME.json."""
        values = dataclasses.asdict(self)
        del values["path"], values["format"]
        return {"format": self.format, **values}


def find(model: str | Path) -> Path:
    """The `.tflite` that `model` means: a path, or the name of an artifact shipped with the package."""
    path = Path(model)
    if path.suffix != ".tflite" and (ASSETS / f"{model}.tflite").is_file():
        return ASSETS / f"{model}.tflite"
    if str(model) in DISTRIBUTIONS and not path.is_file():
        name = DISTRIBUTIONS[str(model)]
        raise InputError(
            f"{model}: this model is a distribution of its own: pip install {name}; `make dist` in the sources builds "
            f"its wheel, `make {model}` trains it"
        )
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in ASSETS.glob("*.tflite"))) or "none"
        raise InputError(f"{model}: no such .tflite file, nor a model shipped with the package ({shipped})")
    return path


def read_artifact(model: str | Path, *, accept_changes: bool = False) -> Artifact:
    """Read NAME.json and check that it is as it was written and belongs to NAME.tflite.

    Args:
        model: a path, or the name of a shipped artifact.
        accept_changes: take a description whose digest does not match, such as one that was edited by hand.
    """
    path = find(model)
    description = path.with_suffix(".json")
    if not description.is_file():
        raise InputError(f"{path}: expected its description {description.name} beside it; copy both files")
    text = read_text(description, "the description of an exported model")
    try:
        values = json.loads(text)
        if values.get("format") not in FORMATS or type(values["format"]) is not int:
            expected = " or ".join(map(str, FORMATS))
            raise InputError(
                f"{description}: expected format {expected}, got {values.get('format')!r}; export the model again"
            )
        if values["format"] >= 2:
            if not accept_changes and not digest_matches(text):
                raise InputError(
                    f"{description}: was changed or damaged since it was written, its digest does not match; copy it "
                    f"again, "
                    f"or `tflite-asr inspect {path} --accept` if you changed it"
                )
            values.pop("digest", None)
        check_description(values)
        artifact = Artifact(**values, path=path)
        ModelConfig.from_json(artifact.model)  # InputError when it does not fit, as of the tokenizer
        artifact.make_tokenizer()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{description}: not the description of an exported model: {error}; export again") from None
    digest = sha256(path)
    if digest != artifact.tflite_sha256:
        raise InputError(
            f"{path}: its sha256 is {digest[:12]}..., {description.name} was written for "
            f"{artifact.tflite_sha256[:12]}...; the two files are not a pair or one is damaged, copy both again"
        )
    return artifact


def write_description(artifact: Artifact) -> Path:
    """Write NAME.json beside NAME.tflite and return its path; the former one stays until the new one is whole."""
    path = artifact.path.with_suffix(".json")
    write_whole(path, description_of(artifact))
    return path


def description_of(artifact: Artifact) -> bytes:
    """The content of NAME.json; from format 2 on with its digest."""
    values = artifact.to_json()
    if artifact.format < 2:
        return (json.dumps(values, indent=1) + "\n").encode()
    return with_digest(values).encode()


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    check_readable(path, "a .tflite file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
