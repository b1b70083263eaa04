"""The second pass of `english` as a PyTorch user writes it: the frozen encoder below, transformer layers with rotary
positions, a decoder over subwords.

Imported only where PyTorch is what is measured. Rows are taken to be of full length.
"""

import torch
from torch import nn
from torch.nn import functional

from tflite_asr.benchmark.peers.torch_layers import layer_norm, linear, parameter
from tflite_asr.benchmark.peers.work import Weights, rotary_angles
from tflite_asr.config import DecoderConfig, ModelConfig
from tflite_asr.config.heads import required


class Rotary(nn.Module):
    """Rotary positions: neighbouring dimensions are a pair, the first `rotary` ones turn."""

    def __init__(self, steps: int, rotary: int):
        super().__init__()
        self.rotary = rotary
        angles = torch.from_numpy(rotary_angles(steps, rotary))
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, heads, steps, size] -> the same shape."""
        even, odd = x[..., : self.rotary].unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack(
            (even * self.cosine - odd * self.sine, odd * self.cosine + even * self.sine), dim=-1
        ).flatten(-2)
        return torch.cat((turned, x[..., self.rotary :]), dim=-1)


class Attention(nn.Module):
    """A residual branch: layer normalisation, then multi-head attention within x, or to another sequence."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary | None = None, causal: bool = False):
        super().__init__()
        self.heads, self.rotary, self.causal = heads, rotary, causal
        self.norm = layer_norm(weights["gain"])
        self.query, self.key, self.value, self.outer = (
            linear(weights[f"{name}_kernel"]) for name in ("query", "key", "value", "outer")
        )

    def forward(self, x: torch.Tensor, source: torch.Tensor | None = None) -> torch.Tensor:
        """x [batch, steps, units], source [batch, time, units] or None for x itself -> the shape of x."""
        x = self.norm(x)
        source = x if source is None else source
        query, key, value = (
            projected.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(x), self.key(source), self.value(source))
        )
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.outer(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """A residual branch: layer normalisation, linear, gelu or a gate of silu, linear."""

    def __init__(self, weights: Weights, gated: bool = False):
        super().__init__()
        self.gated = gated
        self.norm = layer_norm(weights["gain"])
        self.inner = linear(weights["inner_kernel"], weights["inner_bias"])
        self.outer = linear(weights["outer_kernel"], weights["outer_bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, steps, units] -> the same shape."""
        x = self.inner(self.norm(x))
        if self.gated:
            values, gates = x.chunk(2, dim=-1)
            return self.outer(values * functional.silu(gates))
        return self.outer(functional.gelu(x))


class EncoderLayer(nn.Module):
    """A transformer encoder layer; the last one normalises its output."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary):
        super().__init__()
        self.attention = Attention(weights.at("attention"), heads, rotary)
        self.feed_forward = FeedForward(weights.at("feed_forward"))
        self.norm = layer_norm(weights["gain"]) if "gain" in weights else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, time, units] -> the same shape."""
        x = x + self.attention(x)
        x = x + self.feed_forward(x)
        return self.norm(x)


class DecoderLayer(nn.Module):
    """A transformer decoder layer."""

    def __init__(self, weights: Weights, heads: int, rotary: Rotary):
        super().__init__()
        self.self_attention = Attention(weights.at("self_attention"), heads, rotary, causal=True)
        self.cross_attention = Attention(weights.at("cross_attention"), heads)
        self.feed_forward = FeedForward(weights.at("feed_forward"), gated=True)

    def forward(self, x: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """x [batch, steps, units], encoded [batch, time, units] -> the shape of x."""
        x = x + self.self_attention(x)
        x = x + self.cross_attention(x, encoded)
        return x + self.feed_forward(x)


class Decoder(nn.Module):
    """The decoder; its embedding is also the output layer."""

    def __init__(self, config: DecoderConfig, weights: Weights, labels: int):
        super().__init__()
        self.start, self.end = config.start, config.end
        rotary = Rotary(labels + 1, config.rotary)
        self.embedding = nn.Embedding.from_pretrained(parameter(weights["embedding"]))
        self.layers = nn.ModuleList(
            DecoderLayer(weights.at(f"layer_{index}"), config.heads, rotary) for index in range(config.layers)
        )
        self.norm = layer_norm(weights["gain"])
        self.output = nn.Linear(config.units, config.vocabulary_size, bias=False, device="meta")
        self.output.weight = self.embedding.weight

    def forward(self, encoded: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """encoded [batch, time, units], tokens [batch, U] -> mean cross entropy of tokens and end []."""
        x = self.embedding(functional.pad(tokens, (1, 0), value=self.start))
        for layer in self.layers:
            x = layer(x, encoded)
        logits = self.output(self.norm(x))
        targets = functional.pad(tokens, (0, 1), value=self.end).long()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / len(tokens)


class SecondPass(nn.Module):
    """The shared encoder layers, the second pass's own, and the decoder. Gains and biases of the latter two train."""

    def __init__(self, config: ModelConfig, weights: Weights):
        super().__init__()
        encoder, decoder = config.encoder, required(config.decoder, "decoder")
        if encoder.kind != "transformer":
            raise ValueError(f"expected a transformer encoder below a decoder, got {encoder.kind}")
        rotary = Rotary(config.sizes.max_frames, encoder.rotary)
        own = decoder.encoder_layers

        def layers(name: str, count: int) -> nn.Sequential:
            groups = [weights.at(f"{name}_{index}") for index in range(count)]
            return nn.Sequential(*(EncoderLayer(group, encoder.heads, rotary) for group in groups))

        self.shared = layers("encoder", encoder.layers - own)
        self.own = layers("decoder_encoder", own)
        self.decoder = Decoder(decoder, weights.at("decoder"), config.max_labels)
        self.shared.requires_grad_(False)
        for value in (*self.own.parameters(), *self.decoder.parameters()):
            value.requires_grad_(value.ndim == 1)

    def forward(self, frames: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """frames [batch, time, units], tokens [batch, U] -> mean loss over the batch []."""
        return self.decoder(self.own(self.shared(frames)), tokens)
