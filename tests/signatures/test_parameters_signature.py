import numpy as np


def by_group(recognizer, state):
    """The state's weights, by layer group."""
    weights = {group: [] for group in recognizer.groups}
    for parameter in recognizer.artifact.parameters:
        weights[parameter["group"]].append(state[parameter["tensor"]])
    return weights


def norm(arrays):
    return np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays))


def test_figures_of_the_groups(recognizer, utterances):
    shipped = recognizer.state()
    first = recognizer.parameters()
    assert list(first) == ["encoder_0", "encoder_1", "encoder_2", "prediction", "joint"]
    for group, weights in by_group(recognizer, shipped).items():
        assert first[group]["distance"] == 0.0
        assert first[group]["parameters"] == sum(weight.size for weight in weights)
        assert first[group]["bytes"] == sum(weight.nbytes for weight in weights)
        assert first[group]["activation_bytes"] > 0
        # float32 sums of some thousand squares
        np.testing.assert_allclose(first[group]["weight_norm"], norm(weights), rtol=1e-5)

    for seed in (1, 2):
        recognizer.train_step(utterances(2, seed), group_rates={"prediction": 0.0})
    trained = recognizer.state()
    later = recognizer.parameters()
    before, after = by_group(recognizer, shipped), by_group(recognizer, trained)
    for group, figures in later.items():
        moved = [now - then for now, then in zip(after[group], before[group])]
        # differences of nearly equal float32 are exact
        np.testing.assert_allclose(figures["distance"], norm(moved), rtol=1e-5)
        np.testing.assert_allclose(figures["weight_norm"], norm(after[group]), rtol=1e-5)
        assert (figures["distance"] > 0) == (group != "prediction")
        for key in ("parameters", "bytes", "activation_bytes"):
            assert figures[key] == first[group][key]
    # back to what was shipped
    recognizer.set_state(shipped)
    assert recognizer.parameters() == first


def test_state_goes_in_and_comes_out_bit_for_bit(recognizer):
    random = np.random.default_rng(0)
    state = {name: random.standard_normal(value.shape).astype(np.float32) for name, value in recognizer.state().items()}
    state["step"] = np.asarray(1234, np.int32)
    state["joint_bias"][:3] = [-0.0, 1e-45, 3e38]  # a sign, a subnormal, nearly too large
    assert recognizer.model.run("set_weights", state)["step"] == 1234
    returned = recognizer.state()
    assert returned.keys() == state.keys()
    for name, value in state.items():
        assert returned[name].tobytes() == value.tobytes() and returned[name].dtype == value.dtype, name


def test_a_state_that_was_read_does_not_follow_training(recognizer, utterances):
    state = recognizer.state()
    copies = {name: value.tobytes() for name, value in state.items()}
    recognizer.train_step(utterances(2, 3))
    assert {name: value.tobytes() for name, value in state.items()} == copies
    assert recognizer.state()["joint_bias"].tobytes() != copies["joint_bias"]
