"""Arguments that several commands share."""

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tflite_asr.audio.reading import Notices
from tflite_asr.config import ModelConfig
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.data.manifest import Utterance, read_manifest
from tflite_asr.errors import InputError
from tflite_asr.runtime.exits import ExitPolicy

Spoken = TypeVar("Spoken", Utterance, Clip)

if TYPE_CHECKING:
    from tflite_asr.export import SplitOptions
    from tflite_asr.runtime.hotwords import Hotwords
    from tflite_asr.runtime.recognizer import Recognizer
    from tflite_asr.runtime.second_pass import Rescoring


def add_connect(parser: argparse.ArgumentParser) -> None:
    """Declare --connect."""
    parser.add_argument(
        "--connect",
        type=int,
        default=1,
        metavar="N",
        help="join clips of one speaker into strings of up to N (default %(default)s: as they are)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Declare --seed."""
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn at random (default %(default)s)")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare --threads."""
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of the interpreter (default %(default)s)")


def add_exit(parser: argparse.ArgumentParser) -> None:
    """Where to leave the encoder of a model with early exits."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--exit", type=int, metavar="N", help="leave the encoder at this exit, counted from 0 (default: the last)"
    )
    how.add_argument(
        "--exit-entropy",
        type=float,
        metavar="H",
        help="leave the encoder at the first exit whose mean entropy is below H nats",
    )
    how.add_argument(
        "--exit-confidence",
        type=float,
        metavar="P",
        help="leave the encoder at the first exit whose n-best confidence is above P",
    )


def exit_policy(args: argparse.Namespace) -> ExitPolicy | None:
    """The exit policy that the arguments ask for; None for the whole encoder."""
    if args.exit is args.exit_entropy is args.exit_confidence is None:
        return None
    return ExitPolicy(args.exit, args.exit_entropy, args.exit_confidence)


def add_nbest(parser: argparse.ArgumentParser) -> None:
    """Declare --nbest."""
    parser.add_argument(
        "--nbest", type=int, metavar="N", help="hypotheses to rescore (default: as many as the file takes)"
    )


def check_nbest(nbest: int | None, recognizer: "Recognizer") -> None:
    """InputError unless the second pass can choose among that many hypotheses of the first."""
    most = recognizer.config.sizes.beam
    if nbest is not None and recognizer.config.decoder:
        raise InputError(
            f"--nbest: expected none, got {nbest}; the second pass of {recognizer.artifact.path} decodes by itself, "
            "there is no n-best of the first to rescore"
        )
    if nbest is not None and not 2 <= nbest <= most:
        raise InputError(
            f"--nbest: expected 2 to {most}, the hypotheses that {recognizer.artifact.path} takes, got {nbest}"
        )


def add_manifests(parser: argparse.ArgumentParser, help: str, *, required: bool = True) -> None:
    """--manifest, which can be repeated, and its --where."""
    default = None if required else []
    parser.add_argument(
        "--manifest", action="append", required=required, default=default, metavar="M", help=f"{help}; can be repeated"
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="F=V",
        help="rows to keep: one for all manifests or one for each",
    )


def add_development(parser: argparse.ArgumentParser) -> None:
    """--development, which can be repeated, and its --development-where."""
    parser.add_argument(
        "--development", action="append", default=[], metavar="M", help="speech to choose the best weights by"
    )
    parser.add_argument("--development-where", action="append", default=[], metavar="F=V", help="its rows to keep")


def add_two_pass(parser: argparse.ArgumentParser) -> None:
    """Whether, and how, the second pass is used."""
    parser.add_argument("--two-pass", action="store_true", help="rescore the first pass's n-best with the second pass")
    add_nbest(parser)


def rescoring_of(args: argparse.Namespace, recognizer: "Recognizer") -> "Rescoring | None":
    """The rescoring that the arguments ask for; None without --two-pass."""
    import dataclasses

    if not args.two_pass:
        if args.nbest is not None:
            raise InputError("--nbest: expected --two-pass with it, got none")
        return None
    if args.greedy or exit_policy(args):
        raise InputError("--two-pass: expected neither --greedy nor --exit with it, it rescores what beam search finds")
    check_nbest(args.nbest, recognizer)
    return dataclasses.replace(recognizer.rescoring, nbest=args.nbest)


def add_hotwords(parser: argparse.ArgumentParser) -> None:
    """Phrases that are likelier today than the model thinks."""
    parser.add_argument(
        "--hotwords",
        metavar="FILE",
        help="phrases to prefer, such as names: one per line, optionally with a weight after a tab",
    )
    parser.add_argument(
        "--hotword-weight",
        type=float,
        metavar="W",
        help="bonus of a phrase, in nats per letter; 0 for none (default: as `tune-hotwords` found)",
    )


def hotwords_of(args: argparse.Namespace, recognizer: "Recognizer", *, greedy: bool) -> "Hotwords | None":
    """The hotwords that the arguments ask for; None without --hotwords, and with a weight of 0."""
    from tflite_asr.text.phrases import read_phrases

    if args.hotwords is None:
        if args.hotword_weight is not None:
            raise InputError("--hotword-weight: expected --hotwords with it, got none")
        return None
    if greedy:
        raise InputError("--hotwords: expected beam search with it, neither --greedy nor greedy streaming")
    check_least(args, hotword_weight=0)
    return recognizer.hotwords(read_phrases(args.hotwords), args.hotword_weight)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare the argument MODEL."""
    parser.add_argument("model", metavar="MODEL", help="a .tflite with its .json beside it, or a shipped model")


def add_split(parser: argparse.ArgumentParser) -> None:
    """How the split step is cut."""
    parser.add_argument(
        "--parts",
        default="auto",
        metavar="N|auto",
        help="number of parts of the split training step (default %(default)s)",
    )
    parser.add_argument("--part-sizes", metavar="N,N,...", help="layer groups in each part, in place of --parts")
    parser.add_argument(
        "--keep",
        default="auto",
        choices=("auto", "recompute", "stash"),
        help="what a part saves from forward to backward: its input, or activations of its layers (default "
        "%(default)s)",
    )


def split_options(args: argparse.Namespace) -> "SplitOptions":
    """The `SplitOptions` that the arguments ask for."""
    from tflite_asr.export import SplitOptions

    if args.part_sizes is not None and args.parts != "auto":
        raise InputError("--parts and --part-sizes: expected one of them")
    try:
        parts = None if args.parts == "auto" else int(args.parts)
        sizes = None if args.part_sizes is None else tuple(int(size) for size in args.part_sizes.split(","))
    except ValueError:
        given = f"--parts {args.parts}" if args.part_sizes is None else f"--part-sizes {args.part_sizes}"
        raise InputError(f"{given}: expected whole numbers of layer groups") from None
    return SplitOptions(parts, sizes, args.keep)


def check_least(args: argparse.Namespace, **least: float) -> None:
    """InputError unless each of these arguments is finite and at least that, or absent (None)."""
    for name, lowest in least.items():
        value = getattr(args, name)
        if value is not None and not lowest <= value < math.inf:
            raise InputError(f"--{name.replace('_', '-')}: expected {lowest} or more, got {value}")


def check_learning_rate(args: argparse.Namespace) -> None:
    """InputError unless the learning rate is more than 0 and less than 1."""
    if not 0 < args.learning_rate < 1:
        raise InputError(f"--learning-rate: expected more than 0 and less than 1, got {args.learning_rate}")


def read_manifests(manifests: Sequence[str], wheres: Sequence[str]) -> list[Utterance]:
    """Utterances of several manifests; `wheres` is empty, one for all, or one for each ("" keeps all)."""
    if len(wheres) not in (0, 1, len(manifests)):
        raise InputError(f"expected no --where, one, or one for each --manifest ({len(manifests)}), got {len(wheres)}")
    filters = list(wheres) * len(manifests) if len(wheres) == 1 else list(wheres) or [""] * len(manifests)
    return [utterance for path, where in zip(manifests, filters) for utterance in read_manifest(path, where or None)]


def keep_vocabulary(utterances: Sequence[Utterance], words: str) -> list[Utterance]:
    """The utterances that consist of these words only (comma-separated; any case)."""
    allowed = {word.strip().upper() for word in words.split(",")}
    kept = [utterance for utterance in utterances if set(utterance.text.upper().split()) <= allowed]
    if not kept:
        raise InputError(f"--words {words}: none of the {len(utterances)} utterances has only these words")
    return kept


def limited(utterances: Sequence[Spoken], limit: int | None, seed: int) -> list[Spoken]:
    """`limit` of the utterances or clips, drawn by seed, in their order; all when None.

    A second utterance of a text is drawn only after one of every text, as prompts for an owner are chosen: which words
    are said matters more than how often.
    """
    if limit is None:
        return list(utterances)
    if limit < 1:
        raise InputError(f"--limit: expected 1 or more, got {limit}")
    drawn = np.random.default_rng(seed).permutation(len(utterances)).tolist()
    times: Counter[str] = Counter()
    occurrences = {}
    for index in drawn:
        text = utterances[index].text
        occurrences[index] = times[text]
        times[text] += 1
    chosen = sorted(drawn, key=occurrences.__getitem__)[:limit]  # a stable sort: equals stay in the order drawn
    return [utterances[index] for index in sorted(chosen)]


def load_clips(
    utterances: Sequence[Utterance], config: ModelConfig, connect_up_to: int, seed: int, *, measuring: bool = True
) -> tuple[Corpus, list[Clip]]:
    """The audio of the utterances, see `Corpus`, and clips of up to `connect_up_to` of them; notices go to standard
    error.
    """
    with Notices() as notices:
        corpus = Corpus(utterances, config, notices, measuring=measuring)
    return corpus, fitting_clips(corpus, corpus.utterances, connect_up_to, seed, config.max_seconds)
