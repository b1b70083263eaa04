"""Word error rate of a recogniser on clips."""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tflite_asr.data.connect import Clip
from tflite_asr.data.corpus import Corpus
from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.runtime.batch import Example
from tflite_asr.runtime.exits import ExitPolicy
from tflite_asr.runtime.hotwords import Hotwords
from tflite_asr.runtime.recognizer import Recognizer
from tflite_asr.runtime.second_pass import Rescoring


@dataclass(frozen=True)
class Evaluation:
    """References, hypotheses, and their error rates."""

    rates: ErrorRates
    references: list[str]
    hypotheses: list[str]
    owner_utterances: int  # heard with the learned weights; the others with the shipped ones
    exits: list[int] | None = None  # where the encoder was left, if by a policy


def examples_of(recognizer: Recognizer, corpus: Corpus, clips: Iterable[Clip]) -> list[Example]:
    """Features and tokens of clips as they were recorded; the texts may have more tokens than the model trains on."""
    examples = []
    for clip in clips:
        tokens = recognizer.labels.encode(clip.text, where=clip.where)
        frames = recognizer.features(corpus.assemble(clip))
        examples.append(Example(frames, tokens, recognizer.labels.decode(tokens), clip.where))
    return examples


def evaluate_transcripts(
    recognizer: Recognizer, examples: Sequence[Example], *, policy: ExitPolicy | None = None, title: str = "recognising"
) -> Evaluation:
    """`evaluate` the output of `Recognizer.transcribe`: by beam search, through both passes if the second one decodes
    by itself; with a policy, up to the exit that it chooses.
    """
    rescoring = recognizer.rescoring if recognizer.subwords else None
    return evaluate(recognizer, examples, beam=True, policy=policy, rescoring=rescoring, title=title)


def evaluate(
    recognizer: Recognizer,
    examples: Sequence[Example],
    *,
    beam: bool = False,
    policy: ExitPolicy | None = None,
    rescoring: Rescoring | None = None,
    hotwords: Hotwords | None = None,
    title: str = "recognising",
) -> Evaluation:
    """Transcribe every example, with a progress bar on a terminal; with a policy the encoder is left where it says,
    with rescoring both passes decide; hotwords count in each beam search.
    """
    from tqdm import tqdm

    references = [example.text for example in examples]
    shown = tqdm(examples, desc=title, unit="utterance", disable=None, leave=False)
    if rescoring is not None:
        both = functools.partial(recognizer.transcribe_two_pass, rescoring=rescoring, hotwords=hotwords)
        hypotheses, exits = [both(example.frames) for example in shown], None
    elif policy is None:
        first = functools.partial(recognizer.transcribe_frames, beam=beam, hotwords=hotwords)
        hypotheses, exits = [first(example.frames) for example in shown], None
    else:
        early = functools.partial(recognizer.transcribe_early, policy=policy, beam=beam, hotwords=hotwords)
        heard = [early(example.frames) for example in shown]
        hypotheses, exits = [text for text, _ in heard], [exit for _, exit in heard]
    owner = sum(recognizer.hears_owner(example.frames) for example in examples)
    rates = error_rates(references, hypotheses, normalize=recognizer.normalize)
    return Evaluation(rates, references, hypotheses, owner, exits)
