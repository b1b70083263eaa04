"""The named configurations."""

import dataclasses

from tflite_asr.config.encoders import ConformerConfig, EncoderConfig, TransformerConfig
from tflite_asr.config.front_ends import FeatureConfig, StemConfig
from tflite_asr.config.heads import DecoderConfig, PredictionConfig, RescorerConfig
from tflite_asr.config.model import ModelConfig, SizeConfig
from tflite_asr.errors import InputError

PRESETS = {
    # for tests: every part is there, a step takes milliseconds
    "tiny": ModelConfig(
        name="tiny",
        encoder=EncoderConfig(layers=3, units=24, reduce_after=1),
        prediction=PredictionConfig(embedding=8, units=16),
        joint_units=16,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24, max_symbols_per_step=4),
    ),
    # words and strings of words: 1.4 M parameters, up to six seconds
    "commands": ModelConfig(
        name="commands",
        encoder=EncoderConfig(layers=4, units=192, dropout=0.2),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=600, max_tokens=48, stream_frames=24),
    ),
    # words and pairs of words, that can be left after two and four of six groups: 0.5 M parameters, up to three seconds
    "commands_exits": ModelConfig(
        name="commands_exits",
        encoder=ConformerConfig(layers=6, units=64, feed_forward=192, kernel=15),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=4, max_frames=300, max_tokens=32, stream_frames=40),
        exits=(1, 3),
    ),
    # the model of Sim et al. 2019, section 5.1: 124 M parameters, to measure memory and time at the paper's scale
    "sim2019": ModelConfig(
        name="sim2019",
        encoder=EncoderConfig(layers=8, units=640, cells=2048),
        prediction=PredictionConfig(embedding=128, units=640, cells=2048, layers=2),
        joint_units=640,
        sizes=SizeConfig(batch=1, max_frames=600, max_tokens=30, stream_frames=24),
    ),
    # for tests: every part of a conformer with CTC
    "tiny_conformer": ModelConfig(
        name="tiny_conformer",
        encoder=ConformerConfig(layers=3, units=24, feed_forward=40, heads=2, kernel=5),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24),
    ),
    # the same with two early exits
    "tiny_exits": ModelConfig(
        name="tiny_exits",
        encoder=ConformerConfig(layers=3, units=24, feed_forward=40, heads=2, kernel=5),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24),
        exits=(0, 1),
    ),
    # for tests: both passes
    "tiny_two_pass": ModelConfig(
        name="tiny_two_pass",
        encoder=EncoderConfig(layers=3, units=24, reduce_after=1),
        prediction=PredictionConfig(embedding=8, units=16),
        joint_units=16,
        sizes=SizeConfig(batch=2, max_frames=120, max_tokens=12, stream_frames=24, max_symbols_per_step=4, beam=4),
        rescorer=RescorerConfig(embedding=8, units=16, heads=2),
    ),
    # sentences of up to 20 seconds in two passes, to compress (Dawalatabad et al. 2021): 3.4 M parameters. The lower
    # encoder groups, the prediction and the joint network have the shapes of `commands`, to start from what it has
    # learned
    "sentences_teacher": ModelConfig(
        name="sentences_teacher",
        encoder=EncoderConfig(layers=7, units=192, dropout=0.15, residual_from=4),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=2_082, max_tokens=64, stream_frames=36),
        rescorer=RescorerConfig(embedding=64, units=208),
    ),
    # what it is compressed to
    "sentences_student": ModelConfig(
        name="sentences_student",
        encoder=EncoderConfig(layers=3, units=192, dropout=0.1),
        prediction=PredictionConfig(embedding=64, units=128),
        joint_units=128,
        sizes=SizeConfig(batch=4, max_frames=2_082, max_tokens=64, stream_frames=36),
        rescorer=RescorerConfig(embedding=48, units=96),
    ),
    # for tests: a waveform stem, transformer layers, a CTC head and a decoder
    "tiny_english": ModelConfig(
        name="tiny_english",
        features=StemConfig(units=16),
        encoder=TransformerConfig(layers=3, units=16, feed_forward=24, heads=2, rotary=6),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=50, max_tokens=12, stream_frames=24, beam=4),
        decoder=DecoderConfig(
            layers=2, units=16, feed_forward=24, vocabulary_size=40, heads=2, rotary=6, encoder_layers=1
        ),
        tail_frames=0,
    ),
    # the sizes of Moonshine tiny (Jeffries et al. 2024), what `import moonshine` makes: 7.7 M parameters and 19.4 M of
    # the decoder, on up to twelve seconds
    "english": ModelConfig(
        name="english",
        features=StemConfig(units=288),
        encoder=TransformerConfig(layers=6, units=288, feed_forward=1152, dropout=0.1),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=1, max_frames=498, max_tokens=240, stream_frames=24, beam=4),
        decoder=DecoderConfig(layers=6, units=288, feed_forward=1152, vocabulary_size=32_768, encoder_layers=2),
        tail_frames=0,
        edge_samples=1_600,
        learning_rate=1e-4,
    ),
    # the sizes of Wright et al. 2023: 31 M parameters; here with characters, on up to four seconds
    "wright2023": ModelConfig(
        name="wright2023",
        encoder=ConformerConfig(layers=12, units=256, feed_forward=2048, heads=8),
        prediction=None,
        joint_units=0,
        sizes=SizeConfig(batch=2, max_frames=400, max_tokens=40, stream_frames=40),
        features=FeatureConfig(mel_bands=80, max_hz=7_600.0),
    ),
}

# the encoder of `english` alone, with exits after two and four of six layers: pairs of words, up to three seconds
PRESETS["english_exits"] = dataclasses.replace(
    PRESETS["english"],
    name="english_exits",
    decoder=None,
    exits=(1, 3),
    sizes=dataclasses.replace(PRESETS["english"].sizes, max_frames=132, max_tokens=32),
)


def preset(name: str) -> ModelConfig:
    """The preset of this name; InputError lists the names there are."""
    if name not in PRESETS:
        raise InputError(f"no preset named {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
