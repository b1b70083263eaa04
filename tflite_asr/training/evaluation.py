"""Word error rates of a base model through TensorFlow."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tflite_asr.config import ModelConfig
from tflite_asr.data.clips import fitting_clips
from tflite_asr.data.corpus import Corpus
from tflite_asr.metrics import ErrorRates, error_rates
from tflite_asr.models.speech import SpeechModel
from tflite_asr.ops.loops import in_one_loop
from tflite_asr.training.batching import evaluation_batches, frame_counts


def with_edges(samples: tf.Tensor, counts: tf.Tensor, config: ModelConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Utterances [batch, n] and their counts [batch] with the silence on both sides that `Recognizer.features` adds."""
    edge, size = config.edge_samples, samples.shape[1]
    heard = tf.where(counts > 0, tf.minimum(counts + 2 * edge, size), tf.zeros_like(counts))
    return tf.slice(tf.pad(samples, [[0, 0], [edge, 0]]), [0, 0], [-1, size]), heard


def evaluate(model: SpeechModel, corpus: Corpus, clips: Sequence) -> ErrorRates:
    """Greedy word error rate through TensorFlow, on clips of a corpus."""
    batch = 16
    decode = _decoder(model, batch)
    references, hypotheses = [], []
    for samples, counts, chosen in evaluation_batches(corpus, batch, clips):
        tokens = decode(tf.constant(samples), tf.constant(counts)).numpy()
        references += [corpus.tokenizer.decode(corpus.tokenizer.encode(clip.text)) for clip in chosen]
        hypotheses += [corpus.tokenizer.decode(row) for row in tokens[: len(chosen)]]
    return error_rates(references, hypotheses, normalize=model.config.cased)


def _decoder(model: SpeechModel, batch: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The compiled greedy decoder of a model: samples [batch, n], counts [batch] -> tokens; made once for a model."""
    config = model.config
    if not hasattr(model, "_greedy"):
        most = config.features.samples_of(config.sizes.max_frames)

        @tf.function(
            input_signature=[tf.TensorSpec([batch, most], tf.float32), tf.TensorSpec([batch], tf.int32)],
            jit_compile=True,
        )
        def decode(samples, counts):
            # the pause that a recording ends with, so that the last word comes out, or silence on both sides
            samples, counts = with_edges(samples, counts, config)
            frames = model.features(samples, counts)
            lengths = tf.minimum(frame_counts(counts, config) + config.tail_frames, config.sizes.max_frames)
            lengths = tf.where(counts > 0, lengths, tf.zeros_like(lengths))
            with in_one_loop():
                tokens, _ = model.transcribe(frames, lengths, config.sizes.max_tokens)
            return tokens

        model._greedy = decode
    return model._greedy


class HeldOut:
    """Development speech, if there is any."""

    def __init__(self, development: Corpus | None, config: ModelConfig, connect_up_to: int):
        self._corpus = development
        self._clips = []
        if development:
            self._clips = fitting_clips(development, development.utterances, connect_up_to, 0, config.max_seconds)

    def measure(self, model: SpeechModel) -> dict[str, float]:
        """`development_wer`; nothing without development speech."""
        return {"development_wer": evaluate(model, self._corpus, self._clips).wer} if self._corpus else {}
