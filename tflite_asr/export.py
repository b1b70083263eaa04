"""A trained model to NAME.tflite and NAME.json. The only file that knows TFLiteConverter."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import tensorflow as tf

from signatures.chain import group_costs, trace_chain
from signatures.decoding import decoding_signatures
from signatures.inference import inference_signatures
from signatures.loss import loss_signature
from signatures.optimizers import OPTIMIZERS, State
from signatures.parameters import group_figures, parameters_signature
from signatures.parts import make_parts
from signatures.rescore import rescore_signature
from signatures.spec import Signature, group_of
from signatures.split import SplitStep
from signatures.streaming import stream_signature
from signatures.training import train_signature
from signatures.transducer_inference import transducer_signatures
from signatures.weights import tensor_key, weights_signatures
from tflite_asr.compact import compact
from tflite_asr.errors import InputError
from tflite_asr.files import temporary_path, write_together
from tflite_asr.freeze import HOLD, freeze, restore_floats
from tflite_asr.models.ctc import CTC
from tflite_asr.models.exits import SubModel
from tflite_asr.models.grids import Grid
from tflite_asr.models.second_pass import SecondPass
from tflite_asr.models.transducer import Transducer
from tflite_asr.ops.log_mel import log_mel_matrices
from tflite_asr.quantization import INT8_CONSTANTS, Quantization
from tflite_asr.runtime.artifact import Artifact, description_of, sha256
from tflite_asr.runtime.flatbuffer import read_contents
from tflite_asr.runtime.voice import Mixture
from tflite_asr.text.tokenizer import first_pass_tokenizer

# what to write instead of the ops that are met most; the rest is told to look here
INSTEAD = {
    "StridedSliceGrad": "tf.split, tf.unstack or tf.slice in place of indexing",
    "Conv2DBackpropFilter": "shifted slices times unstacked taps",
    "DepthwiseConv2dNativeBackpropFilter": "shifted slices times unstacked taps",
    "ReluGrad": "tflite_asr.ops.elementary.relu",
    "TanhGrad": "tflite_asr.ops.elementary.tanh",
    "SigmoidGrad": "tflite_asr.ops.elementary.sigmoid",
    "LogSoftmax": "tflite_asr.ops.elementary.log_softmax",
    "UnsortedSegmentSum": "a product with tf.one_hot in place of tf.gather",
    "TensorListReserve": "a custom gradient with tflite_asr.ops.rows in place of a loop's own gradient",
}


# names of signatures that run once a token or a chunk begin with these: making floats of weights would take longer than
# their products
A_TOKEN = ("decode_step", "predict", "join", "stream")


@dataclass(frozen=True)
class SplitOptions:
    """How the training step is cut; see `signatures.parts.make_parts`."""

    parts: int | None = None  # None: one
    part_sizes: tuple[int, ...] | None = None
    keep: str = "auto"


def export(
    model: Transducer | CTC,
    out: Path,
    *,
    optimizer: str = "adam",
    split: SplitOptions = SplitOptions(),
    voices: Mixture | None = None,
    quantization: Quantization = Quantization(),
    inference: bool = True,
    pull: bool = True,
    allow_flex: bool = False,
) -> Artifact:
    """Write `out` (NAME.tflite) and its NAME.json; both appear together or the former ones stay.

    Args:
        model: built and trained.
        out: ends in .tflite; its stem is the artifact's name.
        optimizer: sgd, momentum or adam; its slots travel in the file as variables.
        voices: many voices, for telling the owner's from them.
        split: how the training step is cut into parts.
        quantization: which groups train on the device, and what the weights of the others become.
        inference: whether the file can recognise, besides training.
        pull: whether training can draw the weights back to what was shipped. A model of hundreds of MB has to do
            without: the shipped weights stand in every training signature while the file is made.
        allow_flex: lets ops through that need the TensorFlow library on the device.
    """
    if out.suffix != ".tflite":
        raise InputError(f"{out}: expected a name that ends in .tflite")
    if optimizer not in OPTIMIZERS:
        raise InputError(f"no optimizer named {optimizer!r}; there are: {', '.join(OPTIMIZERS)}")
    trainable = trainable_groups(model, quantization)
    live = {
        name: weight
        for name, weight in model.named_weights().items()
        if group_of(name) in trainable and quantization.trains(weight.shape)
    }
    frozen = {name: weight for name, weight in model.named_weights().items() if name not in live}
    state = State(live, OPTIMIZERS[optimizer], pull)
    lengths = [model, *(model.with_config(model.config.at_length(frames)) for frames in model.config.sizes.lengths)]
    learners = [_learner(sized, trainable) for sized in lengths]
    steps = [make_steps(sized, state, split) if live else [] for sized in learners]
    signatures = all_signatures(model, state, steps[0], inference, learner=learners[0])
    for sized, its_learner, its_steps in zip(lengths[1:], learners[1:], steps[1:]):
        signatures += _signatures_at_length(sized, its_learner, its_steps, signatures, inference)
    functions = {signature.name: signature.concrete() for signature in signatures}
    content = convert(
        functions,
        state,
        allow_flex=allow_flex,
        frozen=frozen,
        quantization=quantization,
        grids=model.grids,
    )
    # features are to be the same on every device and in every file
    if quantization.mode == "dynamic" and inference and not model.front_end.weights:
        content = restore_floats(content, "features", log_mel_matrices(model.config.features))
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(out)
    try:
        temporary.write_bytes(content)
        artifact = _describe(
            model, learners[0], state, signatures, functions, steps, temporary, out, voices, allow_flex
        )
        quantization.check_runtime(artifact.min_runtime, out)
    finally:
        temporary.unlink(missing_ok=True)
    write_together({out: content, out.with_suffix(".json"): description_of(artifact)})
    return artifact


@dataclass(frozen=True)
class Steps:
    """The training steps of a model, or of what is left of it at an early exit: in one call, and in parts."""

    exit: int  # counted from 0
    suffix: str  # of the plans and of their signatures
    whole: Signature
    split: SplitStep

    def plans(self) -> dict[str, list[dict]]:
        """By name: the calls of one step."""
        whole = {"signature": self.whole.name, "takes": {}, "updates": self.split.trained}
        return {self.whole.name: [whole], f"split{self.suffix}": self.split.plan()}


def trainable_groups(model: Transducer | CTC, quantization: Quantization) -> list[str]:
    """The groups that train on the device, by name: of the first pass or, where they are named, of a second pass that
    decodes; InputError for both at once."""
    first = [group.name for group in model.all_groups]
    if not model.decodes or quantization.trainable in (None, "all", "none"):
        return quantization.trainable_groups(first)
    second = [group.name for group in model.second_pass_groups]
    chosen = quantization.trainable_groups([*first, *second])
    of_first = [name for name in chosen if name in first[model.shared_groups :]]
    if of_first and (of_second := [name for name in chosen if name in second]):
        raise InputError(
            f"--trainable {quantization.trainable}: expected groups of one pass, got {', '.join(of_first)} of the "
            f"first and {', '.join(of_second)} of the second; the device trains one of them"
        )
    return chosen


def _learner(model: Transducer | CTC, trainable: Sequence[str]) -> Transducer | CTC | SecondPass:
    """What of the model trains on the device: its first pass, or its second one where the groups are of that."""
    if model.decodes and {group.name for group in model.second_pass_groups} & {*trainable}:
        if model.config.decoder.subwords is None:
            raise InputError("--trainable: expected a second pass with its subwords to learn from, it has none")
        return SecondPass(model)
    return model


def make_steps(model: Transducer | CTC | SecondPass, state: State, split: SplitOptions) -> list[Steps]:
    """The steps of the model, then those at each of its early exits; InputError when the encoder cannot be cut so."""
    specs, rates = trace_chain(model), [group.name for group in model.all_groups]
    try:
        parts = make_parts(group_costs(model, specs), parts=split.parts, sizes=split.part_sizes, keep=split.keep)
    except ValueError as error:
        raise InputError(str(error)) from None

    def steps(part_of_model: Transducer | CTC | SecondPass | SubModel, exit: int, suffix: str) -> Steps:
        last = len(part_of_model.groups) - 1
        cut = [replace(part, last=min(part.last, last)) for part in parts if part.first <= last]
        return Steps(
            exit,
            suffix,
            train_signature(part_of_model, state, rates, f"train{suffix}"),
            SplitStep(part_of_model, state, cut, specs[: last + 2], rates, suffix),
        )

    early = [SubModel(model, exit) for exit in range(len(model.inner_exits))]
    live = {group_of(path) for path in state.weights}
    length = model.config.sizes.suffix
    return [
        steps(model, len(early), length),
        *(
            steps(below, exit, f"_exit_{exit}{length}")
            for exit, below in enumerate(early)
            if live & {group.name for group in below.all_groups}
        ),
    ]


def all_signatures(
    model: Transducer | CTC,
    state: State,
    steps: Sequence[Steps],
    inference: bool = True,
    *,
    learner: Transducer | CTC | SecondPass | None = None,
) -> list[Signature]:
    """Every signature of an export, in the order of docs/signatures.md; `learner` is what of the model trains, by
    default its first pass."""
    learner = learner or model
    always = [*(_inference_signatures(model) if inference else []), loss_signature(learner)]
    if not state.weights:
        return always
    return [
        *always,
        parameters_signature(learner, state, model.config.sizes.batch),
        *(signature for one in steps for signature in (one.whole, *one.split.signatures())),
        *weights_signatures(learner, state),
    ]


def _signatures_at_length(
    model: Transducer | CTC,
    learner: Transducer | CTC | SecondPass,
    steps: Sequence[Steps],
    longest: Sequence[Signature],
    inference: bool,
) -> list[Signature]:
    """The signatures of a model of other sizes that differ from those for the longest utterances, named by its
    suffix."""
    known = {signature.name: signature.inputs for signature in longest}
    found = [*(_inference_signatures(model) if inference else []), loss_signature(learner)]
    return [
        *(
            replace(s, name=s.name + model.config.sizes.suffix)
            for s in found
            # a second pass that decodes need not rescore: its search has the same scores
            if s.inputs != known[s.name] and not (model.decodes and s.name == "rescore")
        ),
        *(signature for one in steps for signature in (one.whole, *one.split.signatures())),
    ]


def _inference_signatures(model: Transducer | CTC) -> list[Signature]:
    config, sizes = model.config, model.config.sizes
    frames = {"frame_width": config.features.width, "max_frames": sizes.max_frames}
    max_samples = config.features.samples_of(sizes.max_frames)
    signatures = inference_signatures(model, **frames, max_samples=max_samples, max_tokens=sizes.max_tokens)
    if model.streams:
        # one a step behind a CTC head, were it the first group's
        tokens = sizes.stream_frames // config.encoder.stack_frames
        if config.prediction:
            steps = sizes.stream_frames // config.encoder.frames_per_step
            tokens = max(tokens, steps * sizes.max_symbols_per_step)
        signatures.append(
            stream_signature(
                model, frame_width=frames["frame_width"], stream_frames=sizes.stream_frames, stream_tokens=tokens
            )
        )
    if config.prediction:
        signatures += transducer_signatures(model, **frames, beam=sizes.beam)
    if config.rescorer:
        signatures.append(rescore_signature(model, **frames, max_tokens=sizes.max_tokens, hypotheses=sizes.beam))
    if config.decoder:
        signatures += decoding_signatures(
            model, config.decoder, **frames, max_subwords=config.max_subwords, hypotheses=sizes.beam
        )
    return signatures


def convert(
    functions: dict,
    state: State,
    *,
    allow_flex: bool = False,
    frozen: Mapping[str, tf.Variable] = MappingProxyType({}),
    quantization: Quantization = Quantization(),
    grids: Mapping[str, Grid] = MappingProxyType({}),
) -> bytes:
    """The .tflite of traced functions by signature name; InputError lists the ops that TFLite lacks, by signature."""

    def attempt(functions: dict) -> bytes:
        return _convert(functions, state, allow_flex, frozen, quantization, grids)

    try:
        return attempt(functions)
    except Exception as error:
        if "some ops" not in str(error).lower() and "not supported" not in str(error).lower():
            raise
        whole = error
    lines = []
    for name, function in functions.items():  # which of them, and what in it: the converter tells only the sum
        try:
            attempt({name: function})
        except Exception as error:
            ops = sorted(set(re.findall(r"\btf\.([A-Z]\w*)", str(error))))
            advice = "; ".join(f"for {op} use {INSTEAD[op]}" for op in ops if op in INSTEAD)
            lines.append(f"signature {name}: {', '.join(ops)}" + (f" ({advice})" if advice else ""))
    if not lines:
        raise whole
    raise InputError(
        "ops that TFLite has no builtin for: "
        + " | ".join(lines)
        + "; write them from builtins"
        + ("" if allow_flex else " or pass --allow-flex")
    )


def _convert(
    functions: dict,
    state: State,
    allow_flex: bool,
    frozen: Mapping[str, tf.Variable],
    quantization: Quantization,
    grids: Mapping[str, Grid],
) -> bytes:
    int8 = frozen if quantization.mode in INT8_CONSTANTS else {}
    if int8:
        functions = functions | {HOLD: _assigning(int8)}
    module = tf.Module()
    module.variables_of_model = [*state.variables().values(), *frozen.values()]
    module.functions = list(functions.values())
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.experimental_enable_resource_variables = True
        ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.target_spec.supported_ops = [*ops, tf.lite.OpsSet.SELECT_TF_OPS] if allow_flex else ops
        if quantization.mode == "dynamic":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter._experimental_disable_per_channel_quantization_for_dense_layers = (
                not quantization.per_channel_dense
            )
        content = converter.convert()
    if int8:
        weights = {name: weight.numpy() for name, weight in int8.items()}
        used = {}
        for name in (grids.keys() & weights.keys()) if quantization.mode == "grid" else ():
            if grids[name].holds(weights[name]):
                used[name] = grids[name]
            else:  # trained since it was imported
                used[name] = Grid.around(weights[name])
                weights[name] = used[name].diffused(weights[name])
        content = freeze(content, weights, used, [name for name in functions if name.startswith(A_TOKEN)])
    return compact(content)


def _assigning(variables: Mapping[str, tf.Variable]) -> tf.types.experimental.ConcreteFunction:
    """A function that assigns variables, so that the converter takes them for such; see `freeze`."""

    @tf.function(autograph=False)
    def hold():
        for variable in variables.values():
            variable.assign(-variable)
        return {"held": tf.constant(len(variables))}

    return hold.get_concrete_function()


def _describe(
    model: Transducer | CTC,
    learner: Transducer | CTC | SecondPass,
    state: State,
    signatures: Sequence[Signature],
    functions: dict,
    steps: Sequence[Sequence[Steps]],
    written: Path,
    out: Path,
    voices: Mixture | None,
    allow_flex: bool,
) -> Artifact:
    contents = read_contents(written)

    def tensor(spec: tf.TensorSpec) -> dict:
        return {"name": spec.name, "shape": spec.shape.as_list(), "dtype": spec.dtype.name}

    return Artifact(
        name=out.stem,
        tflite_sha256=sha256(written),
        bytes=written.stat().st_size,
        min_runtime=contents.min_runtime,
        allow_flex=allow_flex,
        model=learner.config.to_json(),
        tokenizer=first_pass_tokenizer(model.config).to_json(),
        optimizer=state.optimizer.name,
        groups=group_figures(learner, model.config.sizes.batch),
        parameters=[
            {
                "name": path,
                "tensor": tensor_key(path),
                "shape": weight.shape.as_list(),
                "dtype": weight.dtype.name,
                "group": group_of(path),
                "trainable": path in state.weights,
            }
            for path, weight in model.named_weights().items()
        ],
        state=[
            {"tensor": tensor_key(path), "shape": variable.shape.as_list(), "dtype": variable.dtype.name}
            for path, variable in state.variables().items()
        ],
        exits=[
            *({"name": f"exit_{group}", "group": model.groups[group].name} for group in model.config.exits),
            {"name": "final", "group": learner.groups[-1].name},
        ],
        signatures={
            signature.name: {
                "does": signature.does,
                "inputs": [tensor(spec) for spec in signature.inputs],
                "outputs": sorted(functions[signature.name].structured_outputs),
                "reads": list(signature.reads),
                "writes": list(signature.writes),
            }
            for signature in signatures
        },
        plans={name: plan for one in steps[0] for name, plan in one.plans().items()},
        plan_exits={name: one.exit for one in steps[0] for name in one.plans()},
        shorter_plans={name: plan for sized in steps[1:] for one in sized for name, plan in one.plans().items()},
        path=out,
        voices=voices.to_json() if voices else None,
        licences=model.config.licences,
    )
