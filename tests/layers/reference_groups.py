"""Layer groups in plain float64 NumPy, one row at a time, to test against."""

from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalized(x, gain, shift):
    scale = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=-1, keepdims=True)) / scale * gain + shift


def stacked(x, factor):
    return x[: len(x) // factor * factor].reshape(len(x) // factor, -1)


def lstm_group(x, weights, group):
    """x [time, d] of one row without padding -> [time // reduction, units]."""
    x = stacked(x, group.reduction)
    hidden = cell = np.zeros(group.units)
    rows = []
    for row in x:
        z = row @ weights["kernel"] + hidden @ weights["recurrent_kernel"] + weights["bias"]
        i, f, candidate, o = np.split(z, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(candidate)
        hidden = sigmoid(o) * np.tanh(cell)
        rows.append(hidden)
    outputs = normalized(np.asarray(rows).reshape(len(x), group.units), weights["gain"], weights["shift"])
    return x + outputs if group.residual else outputs


def adapter_group(x, weights, group):
    """The same for a residual adapter."""
    inner = normalized(x, weights["gain"], weights["shift"]) @ weights["down_kernel"] + weights["down_bias"]
    return x + np.maximum(inner, 0) @ weights["up_kernel"] + weights["up_bias"]


def conformer_group(x, weights, group):
    """The same for a conformer; equation 1 and figures 2 to 4 of Gulati et al. 2020."""

    def dense(x, module, name):
        return x @ weights[f"{module}{name}_kernel"] + weights[f"{module}{name}_bias"]

    def norm(x, module, which=""):
        return normalized(x, weights[f"{module}{which}gain"], weights[f"{module}{which}shift"])

    def feed_forward(x, module):
        hidden = dense(norm(x, module), module, "inner")
        return dense(hidden * sigmoid(hidden), module, "outer")

    def attention(x, module):
        heads, left = group.attention.heads, group.attention.left_context
        x = norm(x, module)
        query, key, value = (np.split(dense(x, module, name), heads, axis=1) for name in ("query", "key", "value"))
        rows = np.zeros_like(x)
        for i in range(len(x)):
            seen = np.arange(max(0, i - left), i + 1) if left else np.arange(len(x))
            parts = []
            for head in range(heads):
                scores = key[head][seen] @ query[head][i] / np.sqrt(query[head].shape[1])
                scores -= 2.0 ** (-8 * (head + 1) / heads) * np.abs(i - seen)
                parts.append(np.exp(scores) / np.exp(scores).sum() @ value[head][seen])
            rows[i] = np.concatenate(parts)
        return dense(rows, module, "outer")

    def convolution(x, module):
        values, gates = np.split(dense(norm(x, module), module, "inner"), 2, axis=1)
        x, taps = values * sigmoid(gates), weights[f"{module}depthwise_kernel"]
        y = np.zeros_like(x)
        for t in range(len(x)):
            for back in range(min(len(taps), t + 1)):
                y[t] += taps[len(taps) - 1 - back] * x[t - back]
        y = norm(y + weights[f"{module}depthwise_bias"], module, "middle_")
        return dense(y * sigmoid(y), module, "outer")

    x = stacked(x, group.reduction)
    if "kernel" in weights:
        x = x @ weights["kernel"] + weights["bias"]
    x = x + feed_forward(x, "feed_forward_1/") / 2
    x = x + attention(x, "attention/")
    x = x + convolution(x, "convolution/")
    x = x + feed_forward(x, "feed_forward_2/") / 2
    return norm(x, "")


def rotated(row, position, rotary):
    """One head's row [size] with its first dimensions turned as complex numbers (Su et al. 2021, equation 13)."""
    turned = row[:rotary:2] + 1j * row[1:rotary:2]
    turned = turned * np.exp(1j * position * 10_000.0 ** (-np.arange(0, rotary, 2) / rotary))
    return np.concatenate([np.stack([turned.real, turned.imag], axis=1).reshape(-1), row[rotary:]])


def gelu(x):
    return x * np.vectorize(NORMAL.cdf)(x)


def transformer_group(x, weights, group):
    """The same for a transformer layer with rotary positions."""
    heads, rotary = group.attention.heads, group.attention.rotary
    y = normalized(x, weights["attention/gain"], 0)
    query, key, value = (
        np.split(y @ weights[f"attention/{name}_kernel"], heads, axis=1) for name in ("query", "key", "value")
    )
    attended = np.zeros_like(x)
    for i in range(len(x)):
        parts = []
        for head in range(heads):
            keys = np.asarray([rotated(row, j, rotary) for j, row in enumerate(key[head])])
            scores = keys @ rotated(query[head][i], i, rotary) / np.sqrt(keys.shape[1])
            parts.append(np.exp(scores) / np.exp(scores).sum() @ value[head])
        attended[i] = np.concatenate(parts)
    x = x + attended @ weights["attention/outer_kernel"]
    hidden = normalized(x, weights["feed_forward/gain"], 0) @ weights["feed_forward/inner_kernel"]
    hidden = gelu(hidden + weights["feed_forward/inner_bias"])
    x = x + hidden @ weights["feed_forward/outer_kernel"] + weights["feed_forward/outer_bias"]
    return normalized(x, weights["gain"], 0) if "gain" in weights else x
