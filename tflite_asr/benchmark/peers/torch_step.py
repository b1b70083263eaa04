"""The training step as a PyTorch user writes it: eager, torch.nn's layers, torchaudio's transducer loss.

Imported only where PyTorch is what is measured. Rows are taken to be of full length.
"""

import torch
import torchaudio
from torch import nn
from torch.nn import functional

from tflite_asr.benchmark.peers.torch_layers import layer_norm, linear, parameter
from tflite_asr.benchmark.peers.torch_second_pass import SecondPass
from tflite_asr.benchmark.peers.work import CLIP_NORM, LEARNING_RATE, Weights, position_bias
from tflite_asr.config import ModelConfig


class LSTM(nn.Module):
    """torch.nn.LSTM, which has one bias too many: it stays zero. Then layer normalisation."""

    def __init__(self, weights: Weights):
        super().__init__()
        kernel, recurrent_kernel = weights["kernel"], weights["recurrent_kernel"]
        units, cells = recurrent_kernel.shape[0], recurrent_kernel.shape[1] // 4
        projected = "projection" in weights
        self.lstm = nn.LSTM(
            kernel.shape[0], cells, batch_first=True, proj_size=units if projected else 0, device="meta"
        )
        self.lstm.weight_ih_l0 = parameter(kernel.T)
        self.lstm.weight_hh_l0 = parameter(recurrent_kernel.T)
        self.lstm.bias_ih_l0 = parameter(weights["bias"])
        self.lstm.bias_hh_l0 = nn.Parameter(torch.zeros(4 * cells), requires_grad=False)
        if projected:
            self.lstm.weight_hr_l0 = parameter(weights["projection"].T)
        self.norm = layer_norm(weights["gain"], weights["shift"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, time, d] -> [batch, time, units]."""
        return self.norm(self.lstm(x)[0])


class FeedForward(nn.Sequential):
    """A conformer's feed-forward module."""

    def __init__(self, weights: Weights):
        super().__init__(
            layer_norm(weights["gain"], weights["shift"]),
            linear(weights["inner_kernel"], weights["inner_bias"]),
            nn.SiLU(),
            linear(weights["outer_kernel"], weights["outer_bias"]),
        )


class Attention(nn.Module):
    """A conformer's self-attention module."""

    def __init__(self, weights: Weights, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = layer_norm(weights["gain"], weights["shift"])
        self.query, self.key, self.value, self.outer = (
            linear(weights[f"{name}_kernel"], weights[f"{name}_bias"]) for name in ("query", "key", "value", "outer")
        )

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """x [batch, time, units], bias [1, heads, time, time] -> the shape of x."""
        x = self.norm(x)
        heads = [
            project(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for project in (self.query, self.key, self.value)
        ]
        attended = functional.scaled_dot_product_attention(*heads, attn_mask=bias)
        return self.outer(attended.transpose(1, 2).flatten(2))


class Convolution(nn.Module):
    """A conformer's convolution module."""

    def __init__(self, weights: Weights):
        super().__init__()
        self.norm = layer_norm(weights["gain"], weights["shift"])
        self.inner = linear(weights["inner_kernel"], weights["inner_bias"])
        taps, units = weights["depthwise_kernel"].shape
        self.depthwise = nn.Conv1d(units, units, taps, groups=units, padding=taps - 1, device="meta")
        self.depthwise.weight = parameter(weights["depthwise_kernel"].T[:, None])
        self.depthwise.bias = parameter(weights["depthwise_bias"])
        self.middle = layer_norm(weights["middle_gain"], weights["middle_shift"])
        self.outer = linear(weights["outer_kernel"], weights["outer_bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, time, units] -> the same shape."""
        time = x.shape[1]
        x = functional.glu(self.inner(self.norm(x)))
        x = self.depthwise(x.transpose(1, 2))[:, :, :time].transpose(1, 2)
        return self.outer(functional.silu(self.middle(x)))


class Conformer(nn.Module):
    """A conformer layer."""

    def __init__(self, weights: Weights, heads: int):
        super().__init__()
        self.inner = linear(weights["kernel"], weights["bias"]) if "kernel" in weights else nn.Identity()
        self.feed_forward_1 = FeedForward(weights.at("feed_forward_1"))
        self.attention = Attention(weights.at("attention"), heads)
        self.convolution = Convolution(weights.at("convolution"))
        self.feed_forward_2 = FeedForward(weights.at("feed_forward_2"))
        self.norm = layer_norm(weights["gain"], weights["shift"])

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """x [batch, time, d], bias [1, heads, time, time] -> [batch, time, units]."""
        x = self.inner(x)
        x = x + 0.5 * self.feed_forward_1(x)
        x = x + self.attention(x, bias)
        x = x + self.convolution(x)
        x = x + 0.5 * self.feed_forward_2(x)
        return self.norm(x)


def stacked(x: torch.Tensor, factor: int) -> torch.Tensor:
    """[batch, time, d] -> [batch, time // factor, factor d]."""
    batch, time, width = x.shape
    return x[:, : time // factor * factor].reshape(batch, time // factor, factor * width)


class ConformerCTC(nn.Module):
    """A conformer encoder with a CTC head."""

    def __init__(self, config: ModelConfig, weights: Weights):
        super().__init__()
        encoder, self.stack_frames = config.encoder, config.encoder.stack_frames
        if encoder.kind != "conformer":
            raise ValueError(f"expected a conformer encoder below CTC, got {encoder.kind}")
        self.layers = nn.ModuleList(
            Conformer(weights.at(f"encoder_{index}"), encoder.heads) for index in range(encoder.layers)
        )
        head = weights.at("ctc")
        self.output = linear(head["kernel"], head["bias"])
        bias = position_bias(config.sizes.max_frames // encoder.stack_frames, encoder.heads)
        self.register_buffer("bias", torch.from_numpy(bias)[None])

    def forward(self, frames: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """frames [batch, time, mel_bands], tokens [batch, U] -> mean loss over the batch []."""
        x = stacked(frames, self.stack_frames)
        for layer in self.layers:
            x = layer(x, self.bias)
        log_probabilities = functional.log_softmax(self.output(x), dim=-1).transpose(0, 1)
        lengths = [torch.full([len(tokens)], length, dtype=torch.int64) for length in (x.shape[1], tokens.shape[1])]
        return functional.ctc_loss(log_probabilities, tokens, *lengths, blank=0, reduction="none").mean()


class Transducer(nn.Module):
    """A transducer over LSTM layers."""

    def __init__(self, config: ModelConfig, weights: Weights):
        super().__init__()
        encoder, prediction = config.encoder, config.prediction
        if encoder.kind != "lstm" or prediction is None:
            raise ValueError(f"expected a transducer over LSTM layers, got {config.name}")
        self.encoder = encoder
        self.layers = nn.ModuleList(LSTM(weights.at(f"encoder_{index}")) for index in range(config.encoder.layers))
        first, joint = weights.at("prediction"), weights.at("joint")
        self.embedding = nn.Embedding.from_pretrained(parameter(first["embedding"]), freeze=False)
        above = [weights.at(f"prediction_{index}") for index in range(1, prediction.layers)]
        self.label_layers = nn.Sequential(*map(LSTM, (first.at("recurrent"), *above)))
        self.join_encoder = linear(joint["encoder_kernel"])
        self.join_prediction = linear(joint["prediction_kernel"], joint["bias"])
        self.output = linear(joint["output_kernel"], joint["output_bias"])

    def forward(self, frames: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """frames [batch, time, mel_bands], tokens [batch, U] -> mean loss over the batch []."""
        x = stacked(frames, self.encoder.stack_frames)
        for index, layer in enumerate(self.layers):
            x = layer(stacked(x, self.encoder.reduction) if index == self.encoder.reduce_after else x)
        y = self.label_layers(self.embedding(functional.pad(tokens, (1, 0))))
        logits = self.output(torch.tanh(self.join_encoder(x)[:, :, None] + self.join_prediction(y)[:, None]))
        lengths = [torch.full([len(tokens)], length, dtype=torch.int32) for length in (x.shape[1], tokens.shape[1])]
        return torchaudio.functional.rnnt_loss(logits, tokens, *lengths, blank=0, reduction="mean")


class TorchStep:
    """A whole training step: `step(frames, tokens)` updates the weights and returns the loss before that []."""

    def __init__(self, config: ModelConfig, weights: Weights):
        if config.trains_second_pass:
            self.model = SecondPass(config, weights)
        else:
            self.model = Transducer(config, weights) if config.is_transducer else ConformerCTC(config, weights)
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        weights.check(sum(parameter.numel() for parameter in self.parameters))
        self.optimizer = torch.optim.SGD(self.parameters, LEARNING_RATE)

    def __call__(self, frames: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = self.model(frames, tokens)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM)
        self.optimizer.step()
        return loss.detach()
