"""The signatures of an export, in the order of docs/signatures.md."""

from collections.abc import Sequence
from dataclasses import replace

from signatures.decoding import decoding_signatures
from signatures.inference import inference_signatures
from signatures.loss import loss_signature
from signatures.optimizers import State
from signatures.parameters import parameters_signature
from signatures.rescore import rescore_signature
from signatures.spec import Signature
from signatures.streaming import stream_signature
from signatures.transducer_inference import transducer_signatures
from signatures.weights import weights_signatures
from tflite_asr.export.steps import Steps, signatures_of
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.models.speech import SpeechModel


def all_signatures(
    model: SpeechModel,
    state: State,
    steps: Sequence[Steps],
    inference: bool = True,
    *,
    learner: SpeechModel | SecondPass | None = None,
) -> list[Signature]:
    """Every signature for the longest utterances.

    Args:
        model: recognises.
        state: the variables that train; without any, the result has no training signatures.
        steps: of the learner, from `make_steps`.
        inference: whether to include the signatures that recognise.
        learner: the part of the model that trains; None for its first pass.
    """
    learner = learner or model
    always = [*(_inference_signatures(model) if inference else []), loss_signature(learner)]
    if not state.weights:
        return always
    return [
        *always,
        parameters_signature(learner, state, model.config.sizes.batch),
        *signatures_of(steps),
        *weights_signatures(learner, state),
    ]


def signatures_at_length(
    model: SpeechModel,
    learner: SpeechModel | SecondPass,
    steps: Sequence[Steps],
    longest: Sequence[Signature],
    inference: bool,
) -> list[Signature]:
    """The signatures for utterances of another length, where they differ from those for the longest, `longest`. Their
    names end in the suffix of the model's sizes.
    """
    known = {signature.name: signature.inputs for signature in longest}
    found = [*(_inference_signatures(model) if inference else []), loss_signature(learner)]
    return [
        *(
            replace(s, name=s.name + model.config.sizes.suffix)
            for s in found
            # a second pass that decodes need not rescore: its search has the same scores
            if s.inputs != known[s.name] and not (model.decodes and s.name == "rescore")
        ),
        *signatures_of(steps),
    ]


def _inference_signatures(model: SpeechModel) -> list[Signature]:
    """The signatures that recognise."""
    config, sizes = model.config, model.config.sizes
    frames = {"frame_width": config.features.width, "max_frames": sizes.max_frames}
    max_samples = config.features.samples_of(sizes.max_frames)
    signatures = inference_signatures(model, **frames, max_samples=max_samples, max_tokens=sizes.max_tokens)
    if model.streams:
        signatures.append(
            stream_signature(
                model,
                frame_width=frames["frame_width"],
                stream_frames=sizes.stream_frames,
                stream_tokens=_stream_tokens(model),
            )
        )
    if config.is_transducer:
        signatures += transducer_signatures(model, **frames, beam=sizes.beam)
    if config.rescorer:
        signatures.append(rescore_signature(model, **frames, max_tokens=sizes.max_tokens, hypotheses=sizes.beam))
    if config.decoder:
        signatures += decoding_signatures(
            model, config.decoder, **frames, max_subwords=config.max_subwords, hypotheses=sizes.beam
        )
    return signatures


def _stream_tokens(model: SpeechModel) -> int:
    """The most tokens that one chunk of a stream may emit."""
    config, sizes = model.config, model.config.sizes
    tokens = sizes.stream_frames // config.encoder.stack_frames  # one a step behind a CTC head of the first group
    if config.is_transducer:
        steps = sizes.stream_frames // config.encoder.frames_per_step
        tokens = max(tokens, steps * sizes.max_symbols_per_step)
    return tokens
