"""The flow head against vectors of an independent implementation, and its training loss."""

import pytest
import torch
from safetensors.torch import load_file
from tiny import GOLDEN

from codec.checkpoint.voxtral_tts import from_released
from codec.tts.config import TransformerConfig
from codec.tts.heads.base import HeadSampling
from codec.tts.heads.flow import FlowHead, Path, time_embedding

ALPHA = HeadSampling(cfg_scale=1.2)


@pytest.fixture(scope="module")
def golden():
    tensors = load_file(GOLDEN / "golden_flow_tiny.safetensors")
    return {name.removeprefix("golden."): t for name, t in tensors.items() if name.startswith("golden.")}


@pytest.fixture(scope="module")
def head():
    head = FlowHead(TransformerConfig(dim=64, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=16, hidden_dim=128), 8, 21)
    state = from_released(load_file(GOLDEN / "golden_flow_tiny.safetensors"))
    prefix = "acoustic_head."
    head.load_state_dict({n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)})
    return head.requires_grad_(False)


def test_time_embedding(golden):
    torch.testing.assert_close(time_embedding(golden["velocity_t"], 64), golden["time_embedding"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("conditional", [True, False])
def test_velocity(head, golden, conditional):
    h = golden["hidden"] if conditional else torch.zeros_like(golden["hidden"])
    v = head.velocity(golden["velocity_x"], golden["velocity_t"], h)
    expected = golden["velocity_cond" if conditional else "velocity_uncond"]
    torch.testing.assert_close(v, expected, atol=1e-5, rtol=0)


def test_trajectory_and_codes(head, golden):
    points = head.solve(golden["hidden"], golden["x0"], HeadSampling(n_steps=7), golden["cfg_alpha"])
    torch.testing.assert_close(torch.stack(points), golden["trajectory"], atol=2e-5, rtol=0)
    codes = head.round(points[-1])
    assert torch.equal(codes[:3] + 2, golden["codes"][:3, 1:])  # row 3 ends the audio


def test_guidance_of_one_is_the_conditional_velocity(head, golden):
    x, h = golden["velocity_x"], golden["hidden"]
    step = head.solve(h, x, HeadSampling(n_steps=1, cfg_scale=1.0))[1] - x
    torch.testing.assert_close(step, head.velocity(x, torch.zeros(4), h), atol=1e-5, rtol=0)


def test_midpoint_is_closer_to_the_exact_path(head, golden):
    def end(solver, n_steps):
        sampling = HeadSampling(n_steps=n_steps, cfg_scale=1.2, solver=solver)
        return head.solve(golden["hidden"], golden["x0"], sampling)[-1]

    exact = end("midpoint", 200)
    assert (end("midpoint", 8) - exact).abs().max() < (end("euler", 8) - exact).abs().max() / 3


def test_rows_do_not_depend_on_each_other(head, golden):
    h, x0 = golden["hidden"], golden["x0"]
    together = head.sample(h, x0, ALPHA)
    assert torch.equal(together, torch.cat([head.sample(h[i : i + 1], x0[i : i + 1], ALPHA) for i in range(4)]))


def test_temperature_is_the_deviation_of_the_start(head):
    def draw(temperature):
        return head.draw(HeadSampling(temperature=temperature), torch.Generator().manual_seed(0))

    assert draw(1.0).any()
    assert not draw(0.0).any()
    assert torch.equal(draw(0.5), draw(1.0) / 2)


def test_the_path_runs_from_noise_to_data():
    x0, x1 = torch.randn(3, 5), torch.randn(3, 5)
    path = Path(x0, x1, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(path.x[0], x0[0])
    torch.testing.assert_close(path.x[1], 0.75 * x0[1] + 0.25 * x1[1])
    torch.testing.assert_close(path.x[2], x1[2])
    assert path.error(x1 - x0).tolist() == [0, 0, 0]
    torch.testing.assert_close(path.error(x1 - x0 + 1), torch.full((3,), 5.0))


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_rounding_and_values_are_inverse(scale):
    head = FlowHead(
        TransformerConfig(dim=16, n_layers=1, n_heads=2, n_kv_heads=1, head_dim=8, hidden_dim=16), 8, 21, scale
    )
    codes = torch.arange(21)[:, None].expand(-1, 8)
    assert torch.equal(head.round(head.values(codes)), codes)
    assert head.values(codes).abs().max() == scale
    assert torch.equal(head.round(torch.full((1, 8), 7.0)), torch.full((1, 8), 20))  # clamped


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="solver"):
        HeadSampling(solver="heun")
    with pytest.raises(ValueError, match="n_steps"):
        HeadSampling(n_steps=0)
