"""Exports a trained model to NAME.tflite and NAME.json."""

from collections.abc import Callable
from pathlib import Path

from signatures.optimizers import OPTIMIZERS, State
from tflite_asr.errors import InputError
from tflite_asr.export.converter import convert
from tflite_asr.export.description import Exported, describe
from tflite_asr.export.features import restore_floats
from tflite_asr.export.learner import divide_weights, learner_of, trainable_groups
from tflite_asr.export.quantization import Quantization
from tflite_asr.export.signature_set import all_signatures, signatures_at_length
from tflite_asr.export.steps import SplitOptions, make_steps
from tflite_asr.files import temporary_path, write_together
from tflite_asr.models.low_rank import add_low_rank
from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.log_mel import log_mel_matrices
from tflite_asr.runtime.artifact import Artifact, description_of
from tflite_asr.runtime.voice import Mixture


def export(
    model: SpeechModel,
    out: Path,
    *,
    optimizer: str = "adam",
    split: SplitOptions = SplitOptions(),
    voices: Mixture | None = None,
    owner_views: bool = False,
    quantization: Quantization = Quantization(),
    inference: bool = True,
    pull: bool = True,
    allow_flex: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> Artifact:
    """Write `out` (NAME.tflite) and its NAME.json; both appear together or the former ones stay.

    Args:
        model: built and trained; with `quantization.low_rank` it gets low-rank updates.
        out: ends in .tflite; its stem is the artifact's name.
        optimizer: sgd, momentum or adam; its slots are variables of the file.
        split: how the training step is cut into parts.
        voices: a mixture of many voices, from which the runtime tells the owner's.
        owner_views: whether the runtime recognises the owner in several views, see `runtime.views`.
        quantization: which groups train on the device, and how the weights of the others are stored.
        inference: whether the file can recognise, besides training.
        pull: whether training can draw the weights back to the shipped ones. A model of hundreds of MB has to do
            without: every training signature holds the shipped weights while the file is made.
        allow_flex: whether ops may need the TensorFlow library on the device.
        progress: called with one line at the start of each stage.

    Returns:
        The description that NAME.json holds.

    Raises:
        InputError: an option that this model or TFLite cannot fulfil; the message says which.
    """
    if out.suffix != ".tflite":
        raise InputError(f"{out}: expected a name that ends in .tflite")
    if optimizer not in OPTIMIZERS:
        raise InputError(f"no optimizer named {optimizer!r}; there are: {', '.join(OPTIMIZERS)}")
    trainable = trainable_groups(model, quantization)
    if quantization.low_rank:
        add_low_rank(model, quantization.low_rank, trainable)
    live, frozen = divide_weights(model, trainable, quantization)
    state = State(live, OPTIMIZERS[optimizer], pull)
    progress("1/3 tracing the signatures")
    exported = _trace(model, trainable, state, split, inference, voices, owner_views, allow_flex)
    progress(f"2/3 converting {len(exported.signatures)} signatures, which takes most of the time")
    content = convert(
        exported.functions,
        state,
        allow_flex=allow_flex,
        frozen=frozen,
        quantization=quantization,
        grids=model.grids,
    )
    if quantization.mode == "dynamic" and inference:
        content = _with_float_features(content, model)
    progress(f"3/3 writing {out}")
    return _write(exported, content, out, quantization)


def _with_float_features(content: bytes, model: SpeechModel) -> bytes:
    """The file with its log-mel matrices in floats: every device and every file computes the same features."""
    features = model.config.features
    return restore_floats(content, "features", log_mel_matrices(features)) if features.kind == "log_mel" else content


def _trace(
    model: SpeechModel,
    trainable: list[str],
    state: State,
    split: SplitOptions,
    inference: bool,
    voices: Mixture | None,
    owner_views: bool,
    allow_flex: bool,
) -> Exported:
    """Build and trace the signatures for every length of utterances."""
    lengths = [model, *(model.with_config(model.config.at_length(frames)) for frames in model.config.sizes.lengths)]
    learners = [learner_of(sized, trainable) for sized in lengths]
    steps = [make_steps(sized, state, split) if state.weights else [] for sized in learners]
    signatures = all_signatures(model, state, steps[0], inference, learner=learners[0])
    for sized, its_learner, its_steps in zip(lengths[1:], learners[1:], steps[1:]):
        signatures += signatures_at_length(sized, its_learner, its_steps, signatures, inference)
    functions = {signature.name: signature.concrete() for signature in signatures}
    return Exported(model, learners[0], state, signatures, functions, steps, voices, owner_views, allow_flex)


def _write(exported: Exported, content: bytes, out: Path, quantization: Quantization) -> Artifact:
    """Write both files, unless the content needs a later runtime than was asked for."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(out)
    try:
        temporary.write_bytes(content)
        artifact = describe(exported, temporary, out)
        quantization.check_runtime(artifact.min_runtime, out)
    finally:
        temporary.unlink(missing_ok=True)
    write_together({out: content, out.with_suffix(".json"): description_of(artifact)})
    return artifact
