"""Preference training: DPO on semantic tokens and flow-DPO on acoustic values, beside the pretraining losses.

Moves of the design "aligned" have only the pretraining loss.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from codec.tts.checkpoint import load_tts, resolve_tts
from codec.tts.model import TTSLosses
from train.data.loader import make_loader
from train.data.pairs.dataset import PairSet, PreferenceBatch, PreferenceDataConfig, PreferenceDataset
from train.losses.config import DPOLossConfig
from train.losses.preference import accuracy, preference_loss, reward_margins
from train.settings.run import DPORun
from train.tasks.tts import VALID_AUDIO, TTSTask


class DPOTask(TTSTask):
    """Preference training of a TTS model, relative to its frozen initial state.

    Args:
        data: pairs, and data for pretraining losses and validation.
        loss: weights of the losses.
        seed: of the data.
        init: TTS checkpoint for `codec.tts.load`, of the initial weights and the frozen reference.
        n_valid: sentences to speak in validation.

    Raises:
        ValueError: unusable data or settings, or an unsupported head; the message names them.
        CheckpointError: unreadable weights.
    """

    loss: DPOLossConfig

    def __init__(
        self, data: PreferenceDataConfig, loss: DPOLossConfig, seed: int, init: str, n_valid: int = VALID_AUDIO
    ) -> None:
        config = load_tts(resolve_tts(init))[0].config
        if config.head != "flow":
            raise ValueError(f"{init}: head = {config.head}; preference training supports the flow head only")
        super().__init__(config, data, loss, seed, init, n_valid)
        tokens = self.config.codec_fingerprint
        if config.codec_fingerprint not in ("", tokens):
            raise ValueError(
                f"data.train: tokens of codec {tokens}, {init} speaks through {config.codec_fingerprint}; "
                "give tokens of the model's codec"
            )
        pairs = PairSet(data.pairs)
        if pairs.fingerprint != tokens:
            raise ValueError(
                f"{data.pairs}: pairs of codec {pairs.fingerprint}, the tokens of data.train were made by "
                f"{tokens}; give pairs and tokens of one codec"
            )
        self.reference = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.preferences = PreferenceDataset(pairs, self.dataset, config.sequence, self.tokenizer, seed)

    @classmethod
    def from_run(cls, run: DPORun) -> DPOTask:  # type: ignore[override]
        """Make the task of a run.

        Raises:
            ValueError: the steps exceed one epoch.
        """
        task = cls(run.data, run.loss, run.seed, run.init, run.trainer.n_valid)
        steps, n_pairs = run.trainer.steps, len(task.preferences.pairs)
        per_step = run.data.batch_size * run.trainer.accumulate
        if steps * per_step > n_pairs:
            raise ValueError(
                f"trainer.steps = {steps}: one epoch over {n_pairs} pairs, {per_step} a step, has "
                f"{n_pairs // per_step}; give at most that, or make more pairs"
            )
        return task

    def batches(self, start: int, rank: int, world_size: int) -> Iterator[PreferenceBatch]:  # type: ignore[override]
        return make_loader(self.preferences, self.data.batch_size, start, rank, world_size, self.data.num_workers)

    def backward(  # type: ignore[override]
        self, batch: PreferenceBatch, step: int, scale: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Add the gradients of the pretraining rows and of the pairs; logs the rewards before the step."""
        w = self.loss
        metrics = super().backward(batch.speech, step, scale * w.pretraining, generator)
        total = w.pretraining * metrics["loss/total"]
        policy, reference = self._costs(batch, generator)
        parts = {
            "semantic": (policy.semantic, reference.semantic, w.semantic_beta),
            "acoustic": (policy.acoustic, reference.acoustic, w.acoustic_beta),
        }
        preference = total.new_zeros(())
        for name, (ours, theirs, beta) in parts.items():
            margins = reward_margins(ours, theirs, batch.utterance, batch.n_pairs, beta)
            loss = preference_loss(margins)
            preference = preference + loss
            metrics |= {
                f"loss/preference_{name}": loss.detach(),
                f"reward/margin_{name}": margins.detach().mean(),
                f"reward/accuracy_{name}": accuracy(margins.detach()),
            }
        (scale * (preference + 0 * policy.move.sum())).backward()  # DDP needs gradients of all parameters in each pass
        return metrics | {"loss/total": total + preference.detach()}

    def _costs(self, batch: PreferenceBatch, generator: torch.Generator) -> tuple[TTSLosses, TTSLosses]:
        """Costs of the frames of the pairs by model and reference, with the same flow times and noise."""
        drawn = generator.get_state()
        with torch.no_grad():
            reference = self.reference.to(batch.utterance.device)(batch.pairs, generator)
        generator.set_state(drawn)
        self.model.eval()  # no dropout of the condition, which is for guidance
        policy = self.parallel["tts"](batch.pairs, generator)
        self.model.train()
        return policy, reference
