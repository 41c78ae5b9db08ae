"""Text to speech with the codec as its tokenizer: an autoregressive backbone and a flow-matching acoustic head."""

from codec.tts.heads.base import HeadSampling
from codec.tts.sampling import Sampling
from codec.tts.shipped import ShippedVoice, shipped_voices
from codec.tts.speech import TTS, load
from codec.tts.text.tokenizer import TextError
from codec.tts.voices import Voice, VoiceError, provenance_comment

__all__ = [
    "TTS",
    "HeadSampling",
    "Sampling",
    "ShippedVoice",
    "TextError",
    "Voice",
    "VoiceError",
    "load",
    "provenance_comment",
    "shipped_voices",
]
