"""Upload to the Hugging Face hub, with a model card."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCardData

from codec.checkpoint.store import fingerprint
from codec.hf.config import Codec37Config
from codec.model import Codec

CARD = "README.md"
NOT_SAID = "Not said by the author."
TEMPLATE = """---
{metadata}
---

# {name}

{description}

- **Architecture**: {n_parameters:.1f} M parameters, {frame_rate:g} frames a second of {sampling_rate} Hz audio,
  {num_quantizers} codebooks of {codebooks} codes, {kbits:.2f} kbit/s.
- **Fingerprint**: `{fingerprint}`, as tokens of `codec.load("{repo_id}")` have it.

## Use

```sh
pip install 'codec37[hf]'
```

```python
import codec.hf  # registers the model with transformers: no remote code
from transformers import AutoFeatureExtractor, AutoModelForAudioTokenization

extractor = AutoFeatureExtractor.from_pretrained("{repo_id}")
model = AutoModelForAudioTokenization.from_pretrained("{repo_id}")
inputs = extractor(["speech.wav"], return_tensors="pt")  # any rate and number of channels
codes = model.encode(**inputs).audio_codes  # [B, {num_quantizers}, T]; any first n of them decode
waveforms = model.decode(codes, inputs.padding_mask).audio_values  # [B, 1, L]
```

Or without transformers: `codec.load("{repo_id}")`.

## Training data

{data}

## Results

{results}
"""


def model_card(
    c: Codec37Config, codec: Codec, repo_id: str, description: str, data: str, results: str, license: str | None
) -> str:
    """Fill in the template of a model card."""
    metadata = ModelCardData(
        library_name="transformers", license=license, tags=["audio", "codec", "speech", "audio-tokenizer", c.model_type]
    )
    sizes = c.codebook_sizes
    rest = f", then {min(sizes[1:])}" + (f" to {max(sizes)}" if len({*sizes[1:]}) > 1 else "") if sizes[1:] else ""
    return TEMPLATE.format(
        metadata=metadata.to_yaml(), name=repo_id.rpartition("/")[2], repo_id=repo_id,
        n_parameters=sum(p.numel() for p in codec.parameters()) / 1e6, codebooks=f"{sizes[0]}{rest}",
        frame_rate=c.frame_rate, sampling_rate=c.sampling_rate, num_quantizers=c.num_quantizers,
        kbits=c.codec_config.bitrate() / 1_000, fingerprint=fingerprint(c.codec_config, codec.state_dict()),
        description=description or NOT_SAID, data=data or NOT_SAID, results=results or NOT_SAID,
    )  # fmt: skip


class HubMixin:
    """Gives a model, or a processor with one, a `push_to_hub` that fills in the model card."""

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write to a folder; arguments as of any model.

        Raises:
            ValueError: `push_to_hub`, which is a method here.
        """
        if push_to_hub:
            raise ValueError("push_to_hub = True: call push_to_hub(repo_id) instead, which fills in the model card")
        super().save_pretrained(save_directory, **kwargs)  # type: ignore[misc]

    def push_to_hub(
        self,
        repo_id: str,
        *,
        description: str = "",
        data: str = "",
        results: str = "",
        license: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        commit_message: str = "Upload codec",
        **commit: Any,
    ) -> str:
        """Upload what `save_pretrained` writes; a card that the repository has already is kept.

        Args:
            repo_id: `owner/name`; created if needed.
            description: Markdown for the card: what the codec is, and what it is not for.
            data: Markdown for the card: training data with licences.
            results: Markdown for the card, such as `table.md` of `python -m eval`.
            license: of the weights, as the hub names licences.
            private: whether a new repository is private; None: as the owner's default.
            token: of the hub; None: the stored one.
            commit_message: first line of the commit.
            commit: other arguments of `HfApi.upload_folder`, as `revision` and `create_pr`.

        Returns:
            Address of the commit.
        """
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        model: Any = getattr(self, "audio_tokenizer", self)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            if not api.file_exists(repo_id, CARD):
                card = model_card(model.config, model.codec, repo_id, description, data, results, license)
                Path(folder, CARD).write_text(card, encoding="utf-8")
            uploaded = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message, **commit)
        return uploaded.commit_url
