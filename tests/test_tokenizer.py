"""The tokenizer: any audio in, trimmed audio out, and clear refusals."""

import copy
import dataclasses
import io
import pickle
import shutil
from multiprocessing import get_context

import numpy as np
import pytest
import soundfile
import torch
from counted import Counted
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_codec
from torch.utils.data import DataLoader

import codec
from codec import AudioError, CheckpointError, Tokenizer, Tokens
from codec.audio.io import read_audio

CLIPS = [f"tests/data/{name}.flac" for name in ("kathleen", "flemishguy", "kerstin")]


def test_clips_in_a_batch_equal_clips_alone(tokenizer):
    batch = tokenizer.encode(CLIPS)
    waveforms = tokenizer.decode(batch)
    for i, clip in enumerate(CLIPS):
        alone = tokenizer.encode(clip)
        assert torch.equal(batch[i].codes, alone.codes)
        assert len(waveforms[i]) == soundfile.info(clip).frames
        torch.testing.assert_close(waveforms[i], tokenizer.decode(alone)[0], atol=1e-5, rtol=0)


def test_items_of_any_lengths_keep_their_order(tokenizer):
    """Similar ones are encoded and decoded together; nobody can tell, but by the time it takes."""
    lengths = [300, 30_000, 1, 29_000, 5_760, 24_000, 1_920]
    noise = 0.1 * torch.randn(max(lengths), generator=torch.Generator().manual_seed(0))
    waveforms = [noise[:n] for n in lengths]
    tokens = tokenizer.encode(waveforms, 24_000)
    assert tokens.n_samples.tolist() == lengths
    outputs = tokenizer.decode(tokens)
    for i, waveform in enumerate(waveforms):
        alone = tokenizer.encode(waveform, 24_000)
        assert torch.equal(tokens[i].codes, alone.codes)
        assert not tokens.codes[i, :, tokens.lengths[i] :].any()
        torch.testing.assert_close(outputs[i], tokenizer.decode(alone)[0], atol=1e-5, rtol=0)


def test_items_of_similar_length_are_encoded_together(tokenizer, monkeypatch):
    """Padding stays below a third, and equal lengths are one batch."""
    shapes = []
    encode = tokenizer.model.encode
    monkeypatch.setattr(tokenizer.model, "encode", lambda x, n: shapes.append(tuple(x.shape)) or encode(x, n))
    tokenizer.encode([torch.zeros(n) for n in (1_000, 10_000, 800, 10_000, 7_500, 7_400)], 24_000)
    assert shapes == [(3, 10_000), (1, 7_400), (2, 1_000)]


def test_bad_recordings_are_skipped_and_reported(tokenizer, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    recordings = [CLIPS[0], tmp_path / "broken.wav", CLIPS[1], np.zeros(0), tmp_path / "absent.wav"]
    tokens, skipped = tokenizer.encode(recordings, 24_000, on_error="skip")
    assert list(skipped) == [1, 3, 4]
    assert "broken.wav" in skipped[1]
    assert "audio[3]: empty" in skipped[3]
    assert "absent.wav" in skipped[4]
    assert [n > 0 for n in tokens.n_samples.tolist()] == [True, False, True, False, False]
    for i in (0, 2):
        assert torch.equal(tokens[i].codes, tokenizer.encode(recordings[i]).codes)
    assert [len(w) > 0 for w in tokenizer.decode(tokens)] == [True, False, True, False, False]
    nothing, skipped = tokenizer.encode(recordings[3:4], 24_000, on_error="skip")
    assert (nothing.codes.shape, list(skipped)) == ((1, 9, 0), [0])
    with pytest.raises(AudioError, match=r"broken\.wav"):
        tokenizer.encode(recordings)
    with pytest.raises(ValueError, match="on_error = 'ignore': expected raise or skip"):
        tokenizer.encode(CLIPS, on_error="ignore")


@pytest.fixture
def loaded(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "codec")
    return codec.load(tmp_path / "codec")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_pickle_names_the_folder_it_was_loaded_from(tmp_path, tokenizer, dtype, monkeypatch):
    tokenizer.save(tmp_path / "codec")
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(codec.load("codec", dtype=dtype))
    assert len(content) < 1_000
    monkeypatch.chdir("/")
    again = pickle.loads(content)
    assert (again.fingerprint, again.model.dtype) == (tokenizer.fingerprint, dtype)
    assert len(pickle.dumps(again)) < 1_000


def test_a_pickle_of_a_folder_that_changed_is_refused(loaded, tmp_path):
    content = pickle.dumps(loaded)
    Tokenizer(make_codec(seed=1)).save(tmp_path / "codec")
    with pytest.raises(CheckpointError, match=f"it was {loaded.fingerprint}; load it again"):
        pickle.loads(content)


def test_weights_that_no_folder_has_are_pickled(loaded, tmp_path, tokenizer):
    """Those that have changed, whose folder is gone, or that were never loaded."""
    expected = copy.deepcopy(loaded)
    next(expected.model.parameters()).mul_(2)
    shutil.rmtree(tmp_path / "codec")
    for ours in (expected, loaded, tokenizer):
        again = pickle.loads(pickle.dumps(ours))
        assert again.fingerprint == tokenizer.fingerprint
        for a, b in zip(again.model.parameters(), ours.model.parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_in_a_dataloader(method, loaded, four_threads):
    """In processes of every kind, each on one thread; and batches of batches."""
    expected = loaded.encode(CLIPS)
    workers = {"num_workers": 1, "multiprocessing_context": method, "timeout": 120}
    batches, n_threads, n_tasks = zip(*DataLoader(CLIPS, 2, collate_fn=Counted(loaded), **workers), strict=True)
    assert set(n_threads) == {1}
    assert max(n_tasks) <= 8
    joined = next(iter(DataLoader(batches, batch_size=2, collate_fn=Tokens.stack)))
    assert torch.equal(joined.codes, expected.codes)
    assert torch.equal(joined.n_samples, expected.n_samples)
    assert joined.to("cpu").codes.device.type == "cpu"


def test_a_fork_does_not_wait_for_threads_that_it_has_not(tokenizer, four_threads):
    """A process that has computed on several threads forks, as pools do, also those of the package `datasets`."""
    expected = tokenizer.encode(CLIPS)
    with get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(Counted(tokenizer), (CLIPS,)) for _ in range(2)]
        for tokens, n_threads, n_tasks in (result.get(timeout=60) for result in results):
            assert torch.equal(tokens.codes, expected.codes)
            assert (n_threads, n_tasks <= 8) == (1, True)


def test_ways_to_give_the_same_audio(tokenizer):
    samples, rate = soundfile.read(CLIPS[0], dtype="int16")
    expected = tokenizer.encode(CLIPS[0]).codes
    as_float = samples.astype(np.float32) / 2**15
    for audio in (samples, as_float, torch.from_numpy(as_float), np.stack([as_float] * 2), as_float.astype(np.float64)):
        assert torch.equal(tokenizer.encode(audio, rate).codes, expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 10_000), st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]))
def test_output_is_as_long_as_the_resampled_input(tokenizer, n_samples, rate):
    tokens = tokenizer.encode(torch.zeros(n_samples), rate)
    (waveform,) = tokenizer.decode(tokens)
    assert abs(len(waveform) - n_samples * 24_000 / rate) <= 1
    assert len(waveform) == tokens.n_samples


@pytest.mark.parametrize("n_samples", [1, 239, 1919, 1920, 1921])
def test_shorter_than_a_frame(tokenizer, n_samples):
    tokens = tokenizer.encode(torch.full((n_samples,), 0.1), 24_000)
    assert tokens.lengths.tolist() == [-(-n_samples // 1920)]
    assert len(tokenizer.decode(tokens)[0]) == n_samples


def test_n_q_gives_a_rate_curve(tokenizer):
    tokens = tokenizer.encode(CLIPS[0])
    outputs = [tokenizer.decode(tokens.prefix(n_q))[0] for n_q in range(1, tokenizer.config.num_codebooks + 1)]
    full = tokenizer.decode(tokens)[0]
    errors = [float((output - full).square().mean()) for output in outputs]
    assert errors[0] > 0
    assert errors[-1] == 0


def test_refusals(tokenizer):
    tokens = tokenizer.encode(torch.zeros(4_000), 24_000)
    with pytest.raises(AudioError, match="sample_rate"):
        tokenizer.encode(torch.zeros(10))
    with pytest.raises(AudioError, match=r"audio\[1\].*empty"):
        tokenizer.encode([torch.zeros(10), torch.zeros(0)], 24_000)
    with pytest.raises(ValueError, match="empty list"):
        tokenizer.encode([])
    codes = tokens.codes.clone()
    codes[0, 3, 1] = 21
    with pytest.raises(ValueError, match=r"codebook 3 has codes 0 to 20"):
        tokenizer.decode(codes)
    with pytest.raises(ValueError, match="10 codebooks"):
        tokenizer.decode(torch.zeros(1, 10, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="integers"):
        tokenizer.decode(torch.zeros(1, 9, 3))
    with pytest.raises(ValueError, match="made by codec"):
        Tokenizer(make_codec(seed=1)).decode(tokens)
    loose = dataclasses.replace(tokens, fingerprint="")
    assert len(Tokenizer(make_codec(seed=1)).decode(loose)[0]) == 4_000


def test_no_frames(tokenizer):
    tokens = tokenizer.encode(torch.zeros(4_000), 24_000).crop(0, 0)
    assert [len(w) for w in tokenizer.decode(tokens)] == [0]


def test_bfloat16_keeps_the_identity_and_most_codes(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "codec")
    half = codec.load(tmp_path / "codec", dtype=torch.bfloat16)
    assert half.fingerprint == tokenizer.fingerprint
    assert half.model.quantizer.semantic.embedding.dtype == torch.float32
    a, b = tokenizer.encode(CLIPS[0]).codes, half.encode(CLIPS[0]).codes
    assert (a - b)[:, 1:].abs().float().mean() < 0.5  # in levels
    assert half.decode(half.encode(CLIPS[0]))[0].dtype == torch.float32


def test_the_default_is_trained_and_speaks_at_every_bitrate():
    """It needs no network and no argument; what it makes of speech is nearer to it with every codebook more."""
    tokenizer = codec.load()
    assert (tokenizer.config.num_codebooks, tokenizer.config.hop_length) == (37, 1920)
    assert codec.load("default").fingerprint == tokenizer.fingerprint
    original = read_audio(CLIPS[0], None, 24_000)
    tokens = tokenizer.encode(CLIPS[0])
    assert all(len(column.unique()) > 2 for column in tokens.codes[0])
    distances = [log_distance(tokenizer.decode(tokens.prefix(n_q))[0], original) for n_q in (1, 13, 37)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.8 * log_distance(torch.zeros_like(original), original)


def log_distance(a, b):
    """Mean distance of log spectra."""
    window = torch.hann_window(1024)
    a, b = (torch.stft(x, 1024, window=window, return_complex=True).abs().add(0.1).log() for x in (a, b))
    return float((a - b).abs().mean())


def test_a_copy_of_the_default_is_the_default(tmp_path):
    default = codec.load()
    default.save(tmp_path / "copy")
    copy = codec.load(tmp_path / "copy")
    assert copy.fingerprint == default.fingerprint
    assert copy.token_model.fingerprint() == default.token_model.fingerprint()
    default.model.decoder.stack.requires_grad_(True)  # as if it were trained
    default.save(tmp_path / "trained")
    assert codec.load(tmp_path / "trained").token_model is None


def test_load(tmp_path, tokenizer):
    with pytest.warns(UserWarning, match="untrained"):
        first = codec.load("tiny")
    with pytest.warns(UserWarning, match="untrained"):
        assert codec.load("tiny").fingerprint == first.fingerprint
    with pytest.raises(CheckpointError, match="no such folder"):
        codec.load(tmp_path / "absent")
    with pytest.raises(ValueError, match="dtype"):
        codec.load("tiny", dtype=torch.int8)
    tokenizer.export_voxtral(tmp_path / "released")
    released = codec.load(tmp_path / "released")
    assert torch.equal(released.encode(CLIPS[0]).codes, tokenizer.encode(CLIPS[0]).codes)


def assert_ordinary(tensor):
    """Not one of inference mode, and without gradient: it may be trained on, and changed in place."""
    assert not tensor.is_inference()
    assert not tensor.requires_grad
    tensor.add_(0)


def test_what_comes_out_can_be_trained_on(tokenizer):
    """A language model on the codes, a layer on the waveforms, and changes in place."""
    tokens = tokenizer.encode(torch.zeros(6_000).requires_grad_(), 24_000)
    encoder, decoder = tokenizer.encoder_stream(), tokenizer.decoder_stream()
    pushed = encoder.push(torch.zeros(4_000).requires_grad_())
    streamed = [pushed, encoder.flush()]
    waveforms = [*tokenizer.decode(tokens), *decoder.push(pushed), *decoder.flush()]
    for codes in (tokens.codes, *(part.codes for part in streamed)):
        logits = torch.nn.Embedding(64, 64)(codes[:, 0])
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes[:, 0].flatten()).backward()
    for waveform in waveforms:
        torch.nn.Linear(1, 1)(waveform[:, None]).sum().backward()
    for tensor in (tokens.codes, tokens.n_samples, tokens.lengths, pushed.codes, pushed.n_samples, *waveforms):
        assert_ordinary(tensor)
    for tensor in (*encoder.state, *decoder.state, *encoder.pending, *decoder.pending):
        assert_ordinary(tensor)


def test_gradients_pass_through_the_model(tokenizer):
    """Straight through the quantizer while encoding, and through decoding: what the README says."""
    model = tokenizer.model
    x = (0.1 * torch.randn(1, 4 * model.config.hop_length)).requires_grad_()
    z = model.quantizer(model.latents(x)).z
    torch.testing.assert_close(z, model.quantizer.decode(model.encode(x)), atol=1e-5, rtol=0)  # quantized it is
    z.square().sum().backward()
    assert x.grad.abs().sum() > 0

    z = z.detach().requires_grad_()
    y = model.synthesize(z)
    torch.testing.assert_close(y, model.decode(model.encode(x.detach())), atol=1e-4, rtol=0)
    y.square().sum().backward()
    assert (z.grad.abs().sum(2) > 0).all()

    assert not any(p.requires_grad for p in model.parameters())  # until it is asked for


@pytest.mark.parametrize("config", ["12.5 Hz", "source filter"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_default_dtype_does_not_matter(config, dtype, tmp_path):
    expected = Tokenizer(make_codec(config))
    expected.save(tmp_path / "codec")
    tokens = expected.encode(CLIPS[0])
    waveform = expected.decode(tokens)[0]
    torch.set_default_dtype(dtype)
    try:
        loaded = codec.load(tmp_path / "codec")
        with pytest.warns(UserWarning, match="untrained"):
            preset = codec.load("tiny")
        found = loaded.encode(CLIPS[0])
        encoder, decoder = loaded.encoder_stream(), loaded.decoder_stream()
        streamed = decoder.push(encoder.push(read_audio(CLIPS[0], None, loaded.config.sample_rate)))[0]
        decoded = loaded.decode(found)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    for model in (loaded.model, preset.model):
        assert {t.dtype for t in model.state_dict().values() if t.is_floating_point()} == {torch.float32}
    assert torch.equal(found.codes, tokens.codes)
    assert decoded.dtype == streamed.dtype == torch.float32
    torch.testing.assert_close(decoded, waveform, atol=1e-5, rtol=0)
    torch.testing.assert_close(streamed, waveform[: len(streamed)], atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", ["12.5 Hz", "source filter"])
@pytest.mark.parametrize(
    ("change", "dtype"),
    [
        (lambda model: model.half(), torch.float16),
        (lambda model: model.bfloat16(), torch.bfloat16),
        (lambda model: model.to(torch.bfloat16), torch.bfloat16),
        (lambda model: model.double(), torch.float64),
        (lambda model: model.type(torch.float64), torch.float64),
    ],
)
def test_types_change_as_by_cast(config, change, dtype):
    changed, cast = make_codec(config), make_codec(config).cast(dtype)
    change(changed)
    assert [t.dtype for t in changed.state_dict().values()] == [t.dtype for t in cast.state_dict().values()]
    assert changed.quantizer.semantic.embedding.dtype == torch.float32
    a, b = Tokenizer(changed), Tokenizer(cast)
    tokens = a.encode(CLIPS[0])
    assert torch.equal(tokens.codes, b.encode(CLIPS[0]).codes)
    assert torch.equal(a.decode(tokens.codes)[0], b.decode(tokens.codes)[0])


def test_the_quantizer_is_float32_under_autocast():
    """Also where training goes: codes, loss and codebook are those of float32 latents."""
    model = make_codec()
    z = torch.randn(4, 50, model.config.latent_dim)
    codes, output = model.quantizer.encode(z), model.quantizer(z)
    start, again, learned = (make_codec().quantizer for _ in range(3))
    start.start(z, torch.Generator().manual_seed(0))
    learned.learn(z)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.quantizer.encode(z), codes)
        found = model.quantizer(z)
        model.quantizer.learn(z)
        again.start(z, torch.Generator().manual_seed(0))
    assert torch.equal(found.codes, output.codes)
    assert found.z.dtype == torch.float32
    torch.testing.assert_close(found.penalties["commit"], output.penalties["commit"])
    torch.testing.assert_close(model.quantizer.semantic.embedding, learned.semantic.embedding)
    torch.testing.assert_close(again.semantic.embedding, start.semantic.embedding)


def test_ways_to_give_recordings_with_their_rate(tokenizer):
    samples, rate = soundfile.read(CLIPS[0], dtype="float32")
    expected = tokenizer.encode(CLIPS[0]).codes
    item = {"path": None, "array": samples, "sampling_rate": rate}
    with open(CLIPS[0], "rb") as file:
        content = io.BytesIO(file.read())
    for audio in ((samples, rate), item, content):
        assert torch.equal(tokenizer.encode(audio).codes, expected)
    batch = tokenizer.encode([(samples, rate), item, CLIPS[0], (samples[::2], rate // 2)])
    for i in range(3):
        assert torch.equal(batch[i].codes, expected)
    assert tokenizer.encode((samples, samples), rate).codes.shape[0] == 2  # two recordings
    with pytest.raises(AudioError, match=r"audio: generator; give the recordings as a list"):
        tokenizer.encode(clip for clip in CLIPS)
    with pytest.raises(AudioError, match=r"audio\[1\]: NoneType; expected a path"):
        tokenizer.encode([samples, None], rate)


def test_codes_of_any_integer_type(tokenizer):
    codes = tokenizer.encode(CLIPS[0]).codes
    expected = tokenizer.decode(codes)[0]
    array = codes.numpy()
    kinds = [array, *(array.astype(kind) for kind in ("u2", ">i4", "i1", "u8"))]
    for given_codes in (*kinds, codes.to(torch.uint16), codes.to(torch.int32)):
        assert torch.equal(tokenizer.decode(given_codes)[0], expected)
        stream = tokenizer.decoder_stream()
        streamed = torch.cat([stream.push(given_codes)[0], stream.flush()[0]])
        torch.testing.assert_close(streamed, expected, atol=1e-4, rtol=0)
    layout = tokenizer.id_layout
    assert torch.equal(layout.from_ids(layout.to_ids(array).numpy().astype("u2"))[0], codes)
    for wrong, message in (
        (codes.tolist(), "codes: list; expected a tensor or array of integers: use torch.tensor"),
        ([tokenizer.encode(CLIPS[0])], "codes: list; .* Tokens.stack"),
        (array.astype("f4"), "codes: array of float32; expected"),
        (array > 0, "codes: array of bool"),
        (None, "codes: NoneType"),
        ("x.tokens", "codes: str"),
    ):
        with pytest.raises(ValueError, match=message):
            tokenizer.decode(wrong)
