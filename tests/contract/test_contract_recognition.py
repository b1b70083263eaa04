"""docs/signatures.md, "Labels", "Samples and frames" and "Recognition": samples to frames to token ids."""

import numpy as np
import pytest
from contract_host import Host

WINDOW, HOP = {"log_mel": 400, "stem": 895}, {"log_mel": 160, "stem": 384}


def speech(seconds: float) -> np.ndarray:
    """Samples [n] float32 in which the shipped models find words: a tone that rises and falls, in noise."""
    random, time = np.random.default_rng(0), np.arange(int(seconds * 16_000)) / 16_000
    hertz = 200 + 1500 * np.abs(np.sin(3 * time))
    return (0.3 * np.sin(2 * np.pi * hertz * time) + 0.01 * random.standard_normal(len(time))).astype(np.float32)


def frames_of(host, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`frames` and `frame_lengths` of an utterance, by the rules of the page."""
    model, longest = host.description["model"], host.inputs("features")["samples"]["shape"][1]
    kind = model["features"].get("kind", "log_mel")
    window, hop = WINDOW[kind], HOP[kind]
    edge = min(model.get("edge_samples", 0), (longest - len(samples)) // 2)
    heard = len(samples) + 2 * edge
    padded = np.zeros([1, longest], np.float32)
    padded[0, edge : edge + len(samples)] = samples
    counted = {"sample_lengths": np.int32([heard])} if kind == "stem" else {}
    whole = (heard - window) // hop + 1 if heard >= window else 0
    count = min(whole + model["tail_frames"], host.sizes["max_frames"])
    return host.run("features", samples=padded, **counted)["frames"], np.int32([count])


def said(result: dict[str, np.ndarray]) -> list[int]:
    return result["tokens"][0, : result["token_lengths"][0]].tolist()


def greedy_path(log_probabilities: np.ndarray) -> list[int]:
    """The best label of each step, repeats joined, blanks dropped."""
    path = np.argmax(log_probabilities, axis=1).tolist()
    return [label for label, before in zip(path, [0, *path]) if label not in (before, 0)]


def test_labels_are_the_blank_and_the_characters_from_1(each):
    assert each.description["tokenizer"]["type"] == "characters"
    characters = each.description["tokenizer"]["characters"]
    biases = [
        row["shape"] for row in each.description["parameters"] if row["name"] in ("joint/output_bias", "ctc/bias")
    ]
    assert biases == [[1 + len(characters)]]
    assert characters[0] == " " and len(set(characters)) == len(characters)


def test_what_is_heard_spells_words_of_the_model(commands):
    frames, lengths = frames_of(commands, speech(2.0))
    characters = commands.description["tokenizer"]["characters"]
    text = "".join(characters[label - 1] for label in said(commands.run("infer", frames=frames, frame_lengths=lengths)))
    assert text == "DOWN RIGHT SHEILA"


def test_the_values_of_a_frame(commands):
    """By librosa's filters and NumPy's transform, of samples as they are."""
    import librosa

    config = commands.description["model"]["features"]
    samples = speech(0.5)
    frames, _ = frames_of(commands, samples)
    bands = {"n_mels": config["mel_bands"], "fmin": config["min_hz"], "fmax": config["max_hz"]}
    filters = librosa.filters.mel(sr=config["sample_rate"], n_fft=config["fft_size"], **bands)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for t in (0, 20):
        power = np.abs(np.fft.rfft(samples[t * 160 : t * 160 + 400] * hann, config["fft_size"])) ** 2
        expected = (np.log(np.maximum(filters @ power, config["log_floor"])) - config["mean"]) / config["deviation"]
        np.testing.assert_allclose(frames[0, t], expected, atol=1e-4)


def test_how_many_frames_hold_sound(each):
    """The frames past the samples are those of silence, from the first window that sees none of them."""
    if each.description["model"]["features"].get("kind") == "stem":
        pytest.skip("a stem's frames of silence depend on the utterance")
    samples, features = speech(1.0), each.description["model"]["features"]
    frames, _ = frames_of(each, samples)
    silent = (np.log(features["log_floor"]) - features["mean"]) / features["deviation"]
    loud = np.any(np.abs(frames[0] - silent) > 1e-3, axis=1)
    assert np.flatnonzero(loud)[-1] == (len(samples) - 1) // 160 and loud[: (len(samples) - 400) // 160 + 1].all()


def test_the_longest_utterance_gives_all_frames(each):
    longest = each.inputs("features")["samples"]["shape"][1]
    kind = each.description["model"]["features"].get("kind", "log_mel")
    assert longest == WINDOW[kind] + (each.sizes["max_frames"] - 1) * HOP[kind]
    frames, count = frames_of(each, np.zeros([longest], np.float32))
    assert count == frames.shape[1] == each.sizes["max_frames"]


def test_a_log_mel_frame_sees_its_own_window_alone(commands):
    samples = speech(1.0)
    whole, _ = frames_of(commands, samples)
    part, _ = frames_of(commands, samples[160 * 20 : 160 * 20 + 400])
    np.testing.assert_allclose(part[0, 0], whole[0, 20], atol=1e-5)


def test_a_stem_has_to_know_the_number_of_samples(english):
    longest = english.inputs("features")["samples"]["shape"][1]
    padded = np.zeros([1, longest], np.float32)
    padded[0, :16_000] = speech(1.0)
    short, full = (
        english.run("features", samples=padded, sample_lengths=np.int32([count]))["frames"][0, 10]
        for count in (16_000, longest)
    )
    assert np.max(np.abs(short - full)) > 0.1


def test_nothing_past_the_length_counts(each):
    frames, lengths = frames_of(each, speech(1.0))
    expected = each.run("infer", frames=frames, frame_lengths=lengths)
    frames[0, lengths[0] :] = np.nan
    found = each.run("infer", frames=frames, frame_lengths=lengths)
    assert said(found) == said(expected)
    assert found["tokens"].shape == (1, each.sizes["max_tokens"])
    assert not found["tokens"][0, found["token_lengths"][0] :].any()


def test_lengths_out_of_range_are_answered_by_minus_one(each):
    frames = each.zeros("infer")["frames"]
    for length, expected in ((-1, -1), (each.sizes["max_frames"] + 1, -1), (0, 0)):
        lengths = np.int32([length])
        assert each.run("infer", frames=frames, frame_lengths=lengths)["token_lengths"] == expected
        assert each.run("encode", frames=frames, frame_lengths=lengths)["encoded_lengths"] == expected


def start_of_stream(host) -> dict[str, np.ndarray]:
    """What `stream` takes before the first chunk."""
    remembered = {k: v for k, v in host.zeros("stream").items() if k not in ("frames", "frame_lengths")}
    start = host.run("predict", **host.zeros("predict"))
    return remembered | {name: start[name][:1] for name in ("predicted", "hidden", "cell")}


@pytest.mark.parametrize("name", ["commands", "sentences"])
def test_a_stream_hears_what_the_whole_has(name):
    host = Host(name)
    frames, lengths = frames_of(host, speech(2.0))
    remembered, labels, size = start_of_stream(host), [], host.sizes["stream_frames"]
    for first in range(0, int(lengths[0]), size):
        chunk, count = np.zeros([1, size, frames.shape[2]], np.float32), min(size, int(lengths[0]) - first)
        chunk[:, :count] = frames[:, first : first + count]
        result = host.run("stream", frames=chunk, frame_lengths=np.int32([count]), **remembered)
        remembered = {name: result[name] for name in remembered}
        labels += said(result)
    assert labels == said(host.run("infer", frames=frames, frame_lengths=lengths)) and labels


def test_an_invalid_chunk_changes_nothing_remembered(commands):
    remembered, frames = start_of_stream(commands), commands.zeros("stream")["frames"]
    size = commands.sizes["stream_frames"]
    result = commands.run("stream", frames=frames, frame_lengths=np.int32([size + 1]), **remembered)
    assert result["token_lengths"] == -1
    for name, value in remembered.items():
        np.testing.assert_array_equal(result[name], value)


def test_encode_predict_and_join_spell_what_infer_does(commands):
    frames, lengths = frames_of(commands, speech(2.0))
    result = commands.run("encode", frames=frames, frame_lengths=lengths)
    encoder = commands.description["model"]["encoder"]
    assert result["encoded_lengths"] == lengths[0] // encoder["stack_frames"] // encoder["reduction"]
    state, labels = commands.run("predict", **commands.zeros("predict")), []
    beam = commands.sizes["beam"]
    for step in result["encoded"][0, : result["encoded_lengths"][0]]:
        for _ in range(commands.sizes["max_symbols_per_step"]):
            rows = commands.run("join", encoded=np.tile(step, [beam, 1]), predicted=state["predicted"])
            assert np.exp(rows["log_probabilities"]).sum(axis=1) == pytest.approx(1, abs=1e-4)
            label = int(np.argmax(rows["log_probabilities"][0]))
            if label == 0:
                break
            labels.append(label)
            tokens = np.full([beam], label, np.int32)
            state = commands.run("predict", tokens=tokens, hidden=state["hidden"], cell=state["cell"])
    assert labels == said(commands.run("infer", frames=frames, frame_lengths=lengths))


def test_rows_of_hypotheses_do_not_meet(commands):
    inputs = commands.zeros("predict")
    inputs["tokens"][:] = 3
    alone = commands.run("predict", **inputs)
    inputs["tokens"][1:] = 29, -1, 5, 6, 7, 8, 9
    others = commands.run("predict", **inputs)
    for name in ("predicted", "hidden", "cell"):
        np.testing.assert_array_equal(others[name][0], alone[name][0])
        assert np.isnan(others[name][1:3]).all() and np.isfinite(others[name][3:]).all()


def test_the_best_path_of_a_ctc_model_is_what_infer_says(english):
    frames, lengths = frames_of(english, speech(2.0))
    result = english.run("encode", frames=frames, frame_lengths=lengths)
    steps = result["log_probabilities"][0, : result["encoded_lengths"][0]]
    assert np.exp(steps).sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert greedy_path(steps) == said(english.run("infer", frames=frames, frame_lengths=lengths))
