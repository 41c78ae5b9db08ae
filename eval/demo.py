"""`python -m eval.demo CLIP --out OUT`: one clip through the codec, with metrics, a waveform and spectrograms."""

from __future__ import annotations

from pathlib import Path

from codec.audio.io import read_audio, write_audio
from codec.files import atomic_file
from codec.settings import DEFAULT
from codec.tokenizer import load
from eval.command import command
from eval.metrics.perceptual import estoi, pesq_wb
from eval.metrics.signal import mel_distance
from eval.pictures import spectrogram_pair
from eval.speed import timed

METRICS = (
    ("PESQ-WB", pesq_wb, "1 to 4.6"),
    ("ESTOI", estoi, "at most 1"),
    ("mel dist", mel_distance, "at least 0"),
)


def main() -> None:
    parser = command("eval.demo", __doc__, out="folder for the tokens, the reconstruction and the picture")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default=DEFAULT, help="checkpoint folder, hub id or preset")
    args = parser.parse_args()
    tokenizer = load(args.model)
    config, stem = tokenizer.config, args.out / args.clip.stem
    original = read_audio(args.clip, None, config.sample_rate)
    args.out.mkdir(parents=True, exist_ok=True)
    encode_s, tokens = timed("cpu", tokenizer.encode, original, config.sample_rate)
    decode_s, (output,) = timed("cpu", tokenizer.decode, tokens)
    tokens.save(stem.with_suffix(".tokens"))
    write_audio(stem.with_suffix(".wav"), output, config.sample_rate)
    with atomic_file(stem.with_suffix(".png")) as new:
        spectrogram_pair(original, output, config.sample_rate).savefig(new)

    seconds = len(original) / config.sample_rate
    n_frames = int(tokens.lengths[0])
    pair = original, output, config.sample_rate
    print(f"{args.clip}: {seconds:.2f} s of speech")
    print(f"tokens      {n_frames} frames x {config.num_codebooks} codebooks; the first frame:")
    print(f"            {' '.join(str(code) for code in tokens.codes[0, :, 0].tolist())}")
    print(f"bitrate     {config.bitrate() / 1000:.2f} kbit/s")
    print(f"time        encode {1000 * encode_s:.0f} ms, decode {1000 * decode_s:.0f} ms")
    for name, metric, scale in METRICS:
        try:
            print(f"{name:<12}{metric(*pair):.3f} ({scale})")
        except ValueError as error:  # a clip too short for it
            print(f"{name:<12}not measured: {error}")
    print(f"written     {', '.join(str(stem.with_suffix(s)) for s in ('.tokens', '.wav', '.png'))}")


if __name__ == "__main__":
    main()
