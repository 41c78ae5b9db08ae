"""seed-tts-eval's speaker encoder with small random weights, in a file as the published one."""

import numpy as np
import pytest
import torch

from codec.extras import MissingDependencyError
from eval.metrics.base import Pair
from eval.metrics.speaker import RATE, make_speaker
from eval.metrics.wavlm import SpeakerNetwork, renamed

D, N_LAYERS, C, WIDE = 32, 2, 16, 24
CONV = [(16, 1 if i == 0 else 16, k) for i, k in enumerate((10, 3, 3, 3, 3, 2, 2))]


def published():
    """Tensors by the names in the file of microsoft/UniSpeech, of which s3prl's WavLM is a part."""
    shapes = {"mask_emb": (D,), "post_extract_proj.weight": (D, 16), "post_extract_proj.bias": (D,)}
    for i, shape in enumerate(CONV):
        shapes[f"feature_extractor.conv_layers.{i}.0.weight"] = shape
        shapes |= norm(f"feature_extractor.conv_layers.{i}.2.1", 16)
    shapes |= norm("layer_norm", 16) | norm("encoder.layer_norm", D)
    position = {"weight_g": (1, 1, 128), "weight_v": (D, D // 16, 128), "bias": (D,)}
    shapes |= {f"encoder.pos_conv.0.{name}": shape for name, shape in position.items()}
    shapes["encoder.layers.0.self_attn.relative_attention_bias.weight"] = (320, 2)
    for i in range(N_LAYERS):
        layer = f"encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= linear(f"{layer}.self_attn.{name}", D, D)
        shapes |= linear(f"{layer}.self_attn.grep_linear", 8, D // 2) | {f"{layer}.self_attn.grep_a": (1, 2, 1, 1)}
        shapes |= linear(f"{layer}.fc1", 40, D) | linear(f"{layer}.fc2", D, 40)
        shapes |= norm(f"{layer}.self_attn_layer_norm", D) | norm(f"{layer}.final_layer_norm", D)
    shapes = {f"feature_extract.model.{name}": shape for name, shape in shapes.items()}
    shapes["feature_weight"] = (N_LAYERS + 1,)
    shapes |= linear("layer1.conv", C, D, 5) | batch_norm("layer1.bn", C)
    for i in (2, 3, 4):
        for name in ("Conv1dReluBn1", "Conv1dReluBn2"):
            shapes |= linear(f"layer{i}.{name}.conv", C, C, 1) | batch_norm(f"layer{i}.{name}.bn", C)
        for group in range(7):
            shapes |= linear(f"layer{i}.Res2Conv1dReluBn.convs.{group}", 2, 2, 3)
            shapes |= batch_norm(f"layer{i}.Res2Conv1dReluBn.bns.{group}", 2)
        shapes |= linear(f"layer{i}.SE_Connect.linear1", 4, C) | linear(f"layer{i}.SE_Connect.linear2", C, 4)
    shapes |= linear("conv", WIDE, 3 * C, 1) | batch_norm("bn", 2 * WIDE) | linear("linear", 8, 2 * WIDE)
    shapes |= linear("pooling.linear1", 4, WIDE, 1) | linear("pooling.linear2", WIDE, 4, 1)
    torch.manual_seed(0)
    state = {name: 0.3 * torch.rand(shape) + 0.1 * torch.randn(shape).sign() for name, shape in shapes.items()}
    state |= {name: tensor.abs() for name, tensor in state.items() if name.endswith(("weight_g", "running_var"))}
    return state | {"loss_calculator.projection.weight": torch.zeros(3, 8)}


def linear(name, outputs, inputs, *kernel):
    return {f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name, width):
    buffers = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,), f"{name}.num_batches_tracked": ()}
    return norm(name, width) | buffers


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("wavlm") / "wavlm_large_finetune.pth"
    torch.save({"model": published()}, path)
    return path


def test_it_is_the_cosine_of_the_networks_embeddings(path):
    state = renamed(published())
    network = SpeakerNetwork(state).eval()
    network.load_state_dict(state)
    x, y = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * RATE), np.float32)
    with torch.inference_mode():
        expected = torch.cosine_similarity(*network(torch.from_numpy(np.stack([x, y]))), dim=0)
    metric = make_speaker(f"wavlm={path}")
    assert metric.measure(Pair(x, y, RATE)) == pytest.approx([float(expected)], abs=1e-4)
    assert metric.measure(Pair(x, 0.01 * x, RATE)) == pytest.approx([1], abs=1e-4), "whatever the level"


def test_every_layer_counts_by_its_weight(path):
    """The last of them is the output, after its norm; the first what enters the first layer."""
    state = renamed(published())
    network = SpeakerNetwork(state).eval()
    network.load_state_dict(state)
    x = 0.1 * torch.randn(1, RATE)
    seen = []
    network.wavlm.encoder.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.wavlm.encoder.layer_norm.register_forward_hook(lambda _, inputs, output: seen.append(output))
    network.layer1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for weight, layer in ((torch.tensor([99.0, 0, 0]), 0), (torch.tensor([0, 0, 99.0]), 1)):
        seen.clear()
        network.feature_weight.data = weight
        with torch.no_grad():
            network(x)
        expected = torch.nn.functional.instance_norm(seen[layer].transpose(1, 2))
        torch.testing.assert_close(seen[2], expected, atol=1e-3, rtol=1e-3)


def test_files_that_are_not_it(path, tmp_path):
    with pytest.raises(MissingDependencyError, match=f"speaker:wavlm={tmp_path}/no.pth: not found; put wavlm_large"):
        make_speaker(f"wavlm={tmp_path}/no.pth")
    torch.save({"model": {"x": torch.zeros(1)}}, tmp_path / "other.pth")
    state = published()
    state.pop("bn.running_var")
    torch.save({"model": state}, tmp_path / "part.pth")
    for name in ("other", "part"):
        with pytest.raises(ValueError, match=rf"{name}\.pth: its tensors are not those of wavlm_large_finetune"):
            make_speaker(f"wavlm={tmp_path}/{name}.pth")
