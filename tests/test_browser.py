"""The page of notebooks/browser: its streams are those of Python, and what it saves Python reads."""

import json
import shutil
import subprocess
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import soundfile
import torch
from onnx_steps import source_filter_steps  # noqa: F401
from pages import browser, console_errors, wait_for  # noqa: F401
from waiting import wait_until

import codec

onnx = pytest.importorskip("codec.onnx", reason="needs the extra onnx", exc_type=ImportError)
pytest.importorskip("onnxscript", reason="needs the extra onnx")

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "notebooks/browser"
CLIP = ROOT / "tests/data/kathleen.flac"
DIST = "node_modules/onnxruntime-web/dist"
NEEDED = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
CODES_THAT_DIFFER = 0.01  # at most: logarithms of the codec's front magnify rounding


class Handler(SimpleHTTPRequestHandler):
    """Says nothing about requests, and has browsers ask again."""

    def log_message(self, *_):
        pass

    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


@pytest.fixture(scope="module")
def runtime(request, tmp_path_factory):
    """Files of onnxruntime-web: from npm, and then from pytest's cache."""
    version = json.loads((PAGE / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    folder = request.config.cache.mkdir("onnxruntime-web") / version
    if not folder.is_dir():
        if not shutil.which("npm"):
            pytest.skip("needs npm")
        download = tmp_path_factory.mktemp("npm")
        command = ["npm", "pack", f"onnxruntime-web@{version}", "--pack-destination", str(download)]
        try:
            subprocess.run(command, cwd=download, check=True, capture_output=True, timeout=180)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"needs onnxruntime-web from npm: {error}")
        with tarfile.open(next(download.glob("*.tgz"))) as package:
            for name in NEEDED:
                package.extract(f"package/dist/{name}", download, filter="data")
        shutil.move(download / "package/dist", folder)
    return folder


@pytest.fixture(scope="module")
def site(runtime, source_filter_steps, tmp_path_factory):  # noqa: F811
    """A folder as the guide has it made, for a tiny codec with the front and head of the default."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("node_modules", "onnx"))
    shutil.copytree(runtime, folder / DIST)
    shutil.copytree(source_filter_steps, folder / "onnx")
    return folder


@pytest.fixture(scope="module")
def streams(site):
    return onnx.OnnxStreams(site / "onnx")


@pytest.fixture(scope="module")
def address(site):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser, address, tmp_path):  # noqa: F811
    browser.get(address)
    browser.set_script_timeout(60)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    wait_for_status(browser, "Ready")
    browser.find_element("tag name", "h1").click()  # browsers let pages sound once they have been clicked
    yield browser
    assert console_errors(browser) == []


def wait_for_status(page, text):
    wait_until(lambda: page.find_element("id", "status").text.startswith(text), text, seconds=60)


def save(page, tmp_path, stem):
    """What the page offers once all was played: tokens and sound."""
    wait_for_status(page, f"Done: {stem}")
    files = [tmp_path / f"{stem}{suffix}" for suffix in (".tokens", ".wav")]
    for name in ("save_tokens", "save_sound"):
        page.find_element("id", name).click()
    wait_until(lambda: all(file.exists() and file.stat().st_size for file in files), f"{files}")
    sound, sample_rate = soundfile.read(files[1], dtype="float32")
    assert sample_rate == 24_000
    return codec.Tokens.load(files[0]), torch.from_numpy(sound)


def decode(streams, tokens):
    return streams.decoder_stream().push(tokens)[0]


def test_streams_take_chunks_of_any_size(page, streams):
    samples = torch.from_numpy(soundfile.read(CLIP, dtype="float32")[0])[:24_000]
    sizes = [1, 1919, 5000, 0, 128, len(samples)]
    codes, sound = page.execute_async_script(
        """const [values, sizes, done] = arguments;
           const { CodecStream, Step } = await import("./codec.js");
           const steps = await Promise.all(["encoder", "decoder"].map((part) => Step.load(`onnx/${part}_step.onnx`)));
           const [encoder, decoder] = steps.map((step) => new CodecStream(step));
           const [samples, codes, sound] = [Float32Array.from(values), [], []];
           let at = 0;
           for (const size of sizes) {
             codes.push(...await encoder.push(samples.slice(at, at += size)));
           }
           codes.push(...await encoder.flush());
           sound.push(...await decoder.push(Int32Array.from(codes)), ...await decoder.flush());
           done([codes, sound]);""",
        samples.tolist(),
        sizes,
    )
    encoder = streams.encoder_stream()
    expected = codec.Tokens.join([encoder.push(samples), encoder.flush()])
    codes = torch.tensor(codes).view(-1, expected.codes.shape[1]).T[None]
    assert codes.shape == expected.codes.shape
    assert (codes != expected.codes).double().mean() <= CODES_THAT_DIFFER
    torch.testing.assert_close(torch.tensor(sound), decode(streams, codes), atol=1e-4, rtol=0)


def test_a_recording(page, streams, tmp_path):
    page.find_element("id", "file").send_keys(str(CLIP))
    tokens, sound = save(page, tmp_path, "kathleen")
    samples = torch.from_numpy(soundfile.read(CLIP, dtype="float32")[0])
    encoder = streams.encoder_stream()
    expected = codec.Tokens.join([encoder.push(samples), encoder.flush()])
    assert (tokens.fingerprint, tokens.n_samples.tolist()) == ("0123456789abcdef", [len(samples)])
    assert (tokens.codes != expected.codes).double().mean() <= CODES_THAT_DIFFER
    assert sound.abs().max() > 0.01
    torch.testing.assert_close(sound, decode(streams, tokens).clamp(-1, 1), atol=2**-14, rtol=0)
    assert float(page.find_element("id", "rtf").text) > 0
    assert page.find_element("id", "played").text == f"{0.08 * tokens.codes.shape[2]:.1f} s"
    drawn = "new Set(document.getElementById('tokens').getContext('2d').getImageData(90, 0, 35, 5).data).size"
    assert page.execute_script(f"return {drawn}") > 20


def test_fewer_codebooks_with_the_keyboard(page, streams, tmp_path):
    slider = page.find_element("id", "n_q")
    assert page.find_element("id", "rate").text.startswith(f"{slider.get_attribute('max')} of ")
    slider.send_keys("\ue011")  # Home
    assert page.find_element("id", "rate").text.startswith("1 of ")
    page.find_element("id", "file").send_keys(str(CLIP))
    tokens, sound = save(page, tmp_path, "kathleen")
    torch.testing.assert_close(sound, decode(streams, tokens.prefix(1)).clamp(-1, 1), atol=2**-14, rtol=0)


def test_the_microphone(page, streams, tmp_path):
    page.find_element("id", "microphone").click()
    wait_for(page, "parseFloat(document.getElementById('played').textContent) > 0.7")
    page.find_element("id", "stop").click()
    tokens, sound = save(page, tmp_path, "microphone")
    assert tokens.codes.unique(dim=2).shape[2] > 5
    assert [len(sound)] == tokens.n_samples.tolist()
    torch.testing.assert_close(sound, decode(streams, tokens).clamp(-1, 1), atol=2**-14, rtol=0)


def test_what_cannot_be_opened(page, tmp_path):
    (tmp_path / "noise.flac").write_bytes(b"no sound")
    page.find_element("id", "file").send_keys(str(tmp_path / "noise.flac"))
    wait_for_status(page, "noise.flac: ")
    assert page.find_element("id", "open").is_enabled()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("onnx/decoder_step.onnx", "onnx/decoder_step.onnx: HTTP status 404; codec export-onnx --step writes it"),
        (f"{DIST}/{NEEDED[0]}", "onnxruntime-web is missing: npm install brings it"),
    ],
)
def test_what_is_missing_is_named(browser, address, site, missing, message):  # noqa: F811
    (site / missing).rename(site / "away")
    try:
        browser.get(address)
        wait_for_status(browser, message)
    finally:
        (site / "away").rename(site / missing)
    assert not browser.find_element("id", "open").is_enabled()
    console_errors(browser)
