"""A small run to make pages from, and a browser to look at them; fixtures for those who import them."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from waiting import wait_until

from eval.metrics.base import Column
from eval.results import CODING, Recording, Results, SystemResult
from eval.store import REFERENCE, file_of

SAMPLE_RATE = 24_000
SIZES = (16, 5, 5)
NASTY = '</script><script>document.title = "broken out"</script> & <b>bold</b> <!-- scripts -->'
COLUMNS = [Column("pesq_wb", "PESQ-WB", True, 2), Column("wer", "WER", False, 1, "%")]


def make_run(folder: Path, seed: int = 0) -> Results:
    """Write a run of four seconds of speech: anchors, a model at two rates, a system that failed once, one missing."""
    rng, clips = np.random.default_rng(seed), ("kathleen", "kerstin", "flemishguy")
    speech = [soundfile.read(f"tests/data/{clip}.flac", dtype="float32")[0][12_000:36_000] for clip in clips]
    waveforms = dict(zip(["a", "b/1", "ü"], speech, strict=True), c=speech[0][::-1])
    recordings = [
        Recording(name, 1.0, ("new",) if name in "ac" else (), f"speaker {i}", "nl-BE", NASTY if name == "c" else name)
        for i, name in enumerate(waveforms)
    ]
    systems = []
    for level, name in enumerate(("opus-6", "model:2", "model", "lowpass-8k", "lowpass-16k", "identity")):
        system = SystemResult(name, "1", kbit_per_s=level / 2 + 0.5, encode_rtf=0.1, decode_rtf=0.2)
        for i, waveform in waveforms.items():
            noise = (5 - level) * 0.01 * rng.standard_normal(len(waveform), dtype=np.float32)
            _write_audio(file_of(folder, "audio", name, i), waveform + noise)
            for column in COLUMNS:
                value = (level if column.higher_is_better else -level) + 0.1 * rng.random()
                system.values.setdefault(column.key, {})[i] = value
        if name.startswith("model"):
            system.codebook_sizes = SIZES[: 2 if name == "model:2" else 3]
            for i in waveforms:
                codes = rng.integers(np.array(system.codebook_sizes)[:, None], size=(len(system.codebook_sizes), 13))
                path = file_of(folder, "codes", name, i)
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, codes.astype(np.int32))
        systems.append(system)
    del systems[0].values["wer"]["ü"]
    systems[0].failures = {"ü": {"wer": "no words"}, "gone": {CODING: "gone.wav: no such file"}}
    systems.append(SystemResult("absent", not_measured="c2enc not found: install it"))
    for i, waveform in waveforms.items():
        _write_audio(file_of(folder, "audio", REFERENCE, i), waveform)
    results = Results(
        recordings, COLUMNS, systems, {"utmos": "no weights"}, {"command": ["eval", NASTY], "time": "now"}
    )
    results.save(folder)
    return results


def _write_audio(path: Path, waveform: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, waveform.clip(-1, 1), SAMPLE_RATE, subtype="PCM_24")


@pytest.fixture
def run(tmp_path):
    make_run(tmp_path)
    return tmp_path


@contextmanager
def chromium(*arguments: str):
    """Headless Chromium, driven by selenium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs the package selenium")
    if not (shutil.which("chromium") and (driver := shutil.which("chromedriver"))):
        pytest.skip("needs the Debian packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    microphone = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")  # which beeps
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1200,900", *microphone, *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(20)
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def wait_for(browser, condition: str) -> None:
    """Until a JavaScript expression is true; see `wait_until`."""
    wait_until(lambda: browser.execute_script(f"return {condition}"), condition)


def console_errors(browser) -> list[str]:
    """What went wrong on the page since it was last asked."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
