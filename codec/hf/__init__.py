"""The codec in Hugging Face transformers: import this module, then use transformers' `Auto` classes.

No code is loaded from the hub.
"""

from codec.extras import needs

with needs("transformers", "codec.hf", "hf"):
    import transformers  # noqa: F401
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioTokenization,
    AutoProcessor,
)

from codec.hf.config import Codec37Config
from codec.hf.features import Codec37FeatureExtractor
from codec.hf.model import Codec37DecoderOutput, Codec37EncoderOutput, Codec37Model, Codec37Output
from codec.hf.processor import Codec37Processor

AutoConfig.register(Codec37Config.model_type, Codec37Config, exist_ok=True)
AutoModel.register(Codec37Config, Codec37Model, exist_ok=True)
AutoModelForAudioTokenization.register(Codec37Config, Codec37Model, exist_ok=True)
AutoFeatureExtractor.register(Codec37Config, Codec37FeatureExtractor, exist_ok=True)
AutoProcessor.register(Codec37Config, Codec37Processor, exist_ok=True)

__all__ = [
    "Codec37Config",
    "Codec37DecoderOutput",
    "Codec37EncoderOutput",
    "Codec37FeatureExtractor",
    "Codec37Model",
    "Codec37Output",
    "Codec37Processor",
]
