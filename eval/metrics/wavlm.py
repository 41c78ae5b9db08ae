"""The speaker encoder of seed-tts-eval: WavLM-large, fine-tuned with an ECAPA-TDNN on its layers.

It is `wavlm_large_finetune.pth` of microsoft/UniSpeech (downstreams/speaker_verification/models/ecapa_tdnn.py), with
which most papers on codecs and speech synthesis compute SIM. `microsoft/wavlm-base-plus-sv` of transformers is another
network, with x-vectors on WavLM-base+: its cosines are on another scale.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.extras import MissingDependencyError, needs
from eval.digest import digest

if TYPE_CHECKING:
    from transformers import WavLMConfig

SOURCE = "wavlm_large_finetune.pth of github.com/microsoft/UniSpeech/tree/main/downstreams/speaker_verification"
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # of WavLM's convolutions
SCALE = 8  # groups of channels of a block
WAVLM = "wavlm."
TRAINING_ONLY = "loss_calculator."
RENAMES = (  # regular expressions over the names in the file
    (r"^feature_extract\.model\.", WAVLM),
    (r"^(wavlm\.feature_extractor\.conv_layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(wavlm\.feature_extractor\.conv_layers\.\d+)\.2\.1\.", r"\1.layer_norm."),
    (r"^wavlm\.post_extract_proj\.", "wavlm.feature_projection.projection."),
    (r"^wavlm\.layer_norm\.", "wavlm.feature_projection.layer_norm."),
    (r"^wavlm\.mask_emb$", "wavlm.masked_spec_embed"),
    (r"\.pos_conv\.0\.weight_g$", ".pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"\.pos_conv\.0\.weight_v$", ".pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"\.pos_conv\.0\.bias$", ".pos_conv_embed.conv.bias"),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
    (r"\.Conv1dReluBn1\.", ".before."),
    (r"\.Res2Conv1dReluBn\.", ".groups."),
    (r"\.Conv1dReluBn2\.", ".after."),
    (r"\.SE_Connect\.", ".gate."),
)


class WavLM:
    """The encoder, with the weights of a file; sizes of layers are those of its tensors.

    Args:
        path: `SOURCE`, 1.3 GB.

    Raises:
        MissingDependencyError: transformers is not installed, or there is no such file.
        ValueError: the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        with needs("transformers", "speaker:wavlm"):
            import transformers  # noqa: F401
        if not path.is_file():
            raise MissingDependencyError(f"speaker:wavlm={path}: not found; put {SOURCE} there")
        try:
            # Published as a pickle only; weights_only reads tensors from it and runs nothing.
            state = renamed(torch.load(path, map_location="cpu", weights_only=True)["model"])
            self.network = SpeakerNetwork(state).eval()
            self.network.load_state_dict(state)
        except Exception as error:  # of many kinds, as pickles break in many ways
            raise ValueError(f"{path}: its tensors are not those of {SOURCE}; download it again") from error
        self.version = f"transformers {version('transformers')}, {digest(path)}"

    @torch.inference_mode()
    def embed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.network(torch.from_numpy(waveform)[None])[0].numpy()


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the file by the names in `SpeakerNetwork`, without those that only its training needed."""
    return {_rename(name): tensor for name, tensor in state.items() if not name.startswith(TRAINING_ONLY)}


def _rename(name: str) -> str:
    for old, new in RENAMES:
        name = re.sub(old, new, name)
    return name


class SpeakerNetwork(nn.Module):
    """Waveforms `[B, L]` at 16 kHz -> embeddings `[B, E]`: ECAPA-TDNN on a weighted mean of WavLM's layers."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        from transformers import WavLMModel

        super().__init__()
        self.wavlm = WavLMModel(_wavlm_config(state))
        channels, width, _ = state["layer1.conv.weight"].shape
        wide, gate, attention = (
            state[f"{name}.weight"].shape[0] for name in ("conv", "layer2.gate.linear1", "pooling.linear1")
        )
        self.feature_weight = nn.Parameter(torch.zeros_like(state["feature_weight"]))
        self.layer1 = ConvReLUNorm(width, channels, kernel_size=5)
        self.layer2, self.layer3, self.layer4 = (Block(channels, dilation, gate) for dilation in (2, 3, 4))
        self.conv = nn.Conv1d(3 * channels, wide, 1)
        self.pooling = Pooling(wide, attention)
        self.bn = nn.BatchNorm1d(2 * wide)
        self.linear = nn.Linear(2 * wide, state["linear.weight"].shape[0])

    def forward(self, waveform: Tensor) -> Tensor:
        normal = F.layer_norm(waveform, waveform.shape[1:])
        output = self.wavlm(normal, output_hidden_states=True)
        # The last one in the file is that of the output, after its norm; of hidden states it is not in all versions.
        layers = torch.stack([*output.hidden_states[:-1], output.last_hidden_state])  # [layers, B, T, D]
        mean = torch.einsum("n,nbtd->bdt", self.feature_weight.softmax(0), layers)
        first = self.layer2(self.layer1(F.instance_norm(mean)))
        second = self.layer3(first)
        x = F.relu(self.conv(torch.cat([first, second, self.layer4(second)], 1)))
        return self.linear(self.bn(self.pooling(x)))


class ConvReLUNorm(nn.Module):
    """A convolution over time of `[B, C, T]` that keeps T, ReLU, then batch normalization."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm1d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.relu(self.conv(x)))


class Groups(nn.Module):
    """Res2Net: each group of channels but the last is convolved together with the output of the one before."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        width, n = channels // SCALE, SCALE - 1
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation) for _ in range(n))
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        *groups, last = x.chunk(SCALE, 1)
        outputs: list[Tensor] = []
        for group, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            outputs.append(bn(F.relu(conv(group + outputs[-1] if outputs else group))))
        return torch.cat([*outputs, last], 1)


class Gate(nn.Module):
    """Squeeze and excitation: scales channels by what their means over time say."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(channels, width), nn.Linear(width, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.linear2(F.relu(self.linear1(x.mean(2)))))[..., None]


class Block(nn.Module):
    """A residual block of ECAPA-TDNN."""

    def __init__(self, channels: int, dilation: int, gate: int) -> None:
        super().__init__()
        self.before, self.after = ConvReLUNorm(channels, channels), ConvReLUNorm(channels, channels)
        self.groups, self.gate = Groups(channels, dilation), Gate(channels, gate)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate(self.after(self.groups(self.before(x))))


class Pooling(nn.Module):
    """Means and standard deviations over time of `[B, C, T]`, weighted by attention: `[B, 2 C]`."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Conv1d(channels, width, 1), nn.Conv1d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.linear2(torch.tanh(self.linear1(x))).softmax(2)
        mean = (weight * x).sum(2)
        variance = (weight * x.square()).sum(2) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-9).sqrt()], 1)


def _wavlm_config(state: dict[str, Tensor]) -> WavLMConfig:
    """Sizes of the WavLM in the file.

    Raises:
        KeyError: there is none.
    """
    from transformers import WavLMConfig

    convs = [state[f"{WAVLM}feature_extractor.conv_layers.{i}.conv.weight"].shape for i in range(len(STRIDES))]
    buckets, heads = state[f"{WAVLM}encoder.layers.0.attention.rel_attn_embed.weight"].shape
    position = state[f"{WAVLM}encoder.pos_conv_embed.conv.parametrizations.weight.original1"].shape
    return WavLMConfig(
        hidden_size=position[0],
        num_hidden_layers=len(state["feature_weight"]) - 1,  # the first weight is of the input of the first layer
        num_attention_heads=heads,
        intermediate_size=state[f"{WAVLM}encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_dim=[shape[0] for shape in convs],
        conv_kernel=[shape[2] for shape in convs],
        conv_stride=list(STRIDES),
        num_conv_pos_embeddings=position[2],
        num_conv_pos_embedding_groups=position[0] // position[1],
        num_buckets=buckets,
    )
