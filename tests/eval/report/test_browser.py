"""The report as a browser shows it."""

import pytest
from pages import NASTY, console_errors, make_run, wait_for

from eval.report.__main__ import write_report
from eval.results import Recording, Results

INK = """(() => {{ // different colours on a canvas
  const canvas = document.querySelector({selector!r});
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size; }})()"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    make_run(folder)
    return write_report([folder]).as_uri()


@pytest.fixture
def page(browser, address):
    browser.get("about:blank")
    browser.get(address)
    yield browser
    assert console_errors(browser) == []


def texts(page, selector):
    return page.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def choose(page, name, value):
    page.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))",
        name,
        str(value),
    )


def click(page, selector):
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def test_overview(page):
    facts = dict(zip(texts(page, ".fact span"), texts(page, ".fact strong"), strict=True))
    assert (facts["recordings"], facts["systems"], facts["failures"]) == ("4", "6", "2")
    notes = " ".join(texts(page, ".note"))
    for expected in ("no weights", "c2enc not found", "gone.wav: no such file", "no words"):
        assert expected in notes
    assert "All 2 rank the anchors as they must" in notes
    assert NASTY in texts(page, "#made")[0]
    assert page.title == "Codec evaluation"


@pytest.mark.parametrize("n_recordings", [4, 8])
def test_metrics_that_rank_anchors_wrongly(browser, run, n_recordings):
    """Four recordings have 16 patterns of signs, too few to tell."""
    results = Results.load(run)
    results.recordings += [Recording(f"more {i}", 1.0) for i in range(n_recordings - 4)]
    ids = [r.id for r in results.recordings]
    for system in results.systems[:6]:
        system.codebook_sizes = ()
        system.values["wer"] = dict.fromkeys(ids, 0.0 if system.system == "identity" else -99.0)
    for codes in (run / "codes").rglob("*.npy"):
        codes.unlink()
    results.save(run)
    browser.get(write_report([run]).as_uri())
    (note,) = [text for text in texts(browser, ".note") if "anchors" in text]
    pairs, alike = "opus-6 beats identity (by 99.0, p = ", "lowpass-8k equals lowpass-16k (by 0.0, p = 1.000)"
    certain, _, doubts = note.partition("Cannot tell")
    if n_recordings == 8:
        assert "1 of 2 scores rank anchors wrongly" in certain
        assert f"WER \u2013 {pairs}0.008)" in certain
        assert "and 2 more pairs" in certain  # of five that beat the identity
        assert alike in doubts
    else:
        assert "Metrics checked1 of 2 rank the anchors as they must" in certain
        assert f"WER \u2013 {pairs}0.125)" in doubts
        assert "and 3 more pairs" in doubts  # those two, and two bands alike


def test_table_sorts(page):
    names = texts(page, "#systems tbody th")
    assert names == ["opus-6", "model:2", "model", "lowpass-8k", "lowpass-16k", "identity"]
    click(page, "[data-column=pesq_wb]")
    assert texts(page, "#systems tbody th") == names[::-1]
    click(page, "[data-column=pesq_wb]")
    assert texts(page, "#systems tbody th") == names
    assert texts(page, "[aria-sort=ascending]") == ["PESQ-WB ↑"]
    click(page, "[data-column=name]")
    assert texts(page, "#systems tbody th") == ["identity", "lowpass-8k", "lowpass-16k", "model", "model:2", "opus-6"]
    assert texts(page, ".best")[0].startswith("2.")  # of the model, as anchors do not count


def test_recordings_without_a_value_are_counted(page):
    assert [text for text in texts(page, ".interval") if "of" in text] == [texts(page, ".interval")[1]]
    assert texts(page, ".interval")[1].endswith("(3 of 4)")


def test_baseline(page):
    assert texts(page, ".difference") == []
    choose(page, "baseline", 1)
    differences = texts(page, ".difference")
    assert len(differences) == 10
    assert differences[0].startswith("-1.")
    assert differences[2].startswith("+1.")
    choose(page, "group", 1)
    assert "p = 0.500" in texts(page, ".difference")[0]  # two recordings have four patterns of signs


def test_chart(page):
    assert len(texts(page, "#chart .dot")) == 3
    assert len(texts(page, "#chart .curve")) == 1
    assert texts(page, ".line-label") == ["lowpass-8k", "lowpass-16k", "identity"]
    page.execute_script("document.querySelector('.dot').dispatchEvent(new Event('pointerenter'))")
    assert "opus-6PESQ-WB 0." in texts(page, "#tip")[0]
    choose(page, "metric", "wer")
    assert "WER (%): lower is better" in texts(page, "#chart svg")[0]
    click(page, ".legend button")
    assert len(texts(page, "#chart .dot")) == 2


def test_recording(page):
    page.execute_script("document.getElementById('search').value = 'BOLD nl-be'")
    page.execute_script("document.getElementById('search').dispatchEvent(new Event('input'))")
    assert texts(page, "#found b") == ["c"]
    click(page, "#found a")
    wait_for(page, "document.querySelectorAll('.play:enabled').length === 7")
    assert texts(page, "blockquote") == [NASTY]
    assert texts(page, ".sound h3")[:3] == ["original", "opus-6", "model:2"]
    wait_for(page, f"{INK.format(selector='.sound:last-child .spectrum')} > 20")
    assert page.execute_script("return " + INK.format(selector=".codes")) > 3
    assert "2 codebooks" in texts(page, "figcaption")[0]


def test_playing(page, address):
    page.get(f"{address}#recording=b%2F1")
    wait_for(page, "document.querySelectorAll('.play:enabled').length === 7")
    at = "Number(document.querySelector('.sounds').style.getPropertyValue('--at'))"
    plays = page.find_elements("css selector", ".play")
    click(page, "#recording input[type=checkbox]")
    plays[0].click()
    wait_for(page, f"{at} > 0.1")
    switch = f"const before = {at}; document.querySelectorAll('.play')[3].click(); return [before, {at}]"
    before, after = page.execute_script(switch)  # at one moment: a recording of a second soon begins again
    assert after >= before > 0
    assert [p.get_attribute("aria-pressed") for p in plays].index("true") == 3
    wait_for(page, f"{at} > 0.3")
    plays[3].click()
    assert "true" not in [p.get_attribute("aria-pressed") for p in plays]


def test_codebooks_and_the_worst(page):
    assert texts(page, "#coded option") == ["model:2", "model"]
    assert len(texts(page, "#usage .entropy")) == 1 + 2
    choose(page, "coded", 2)
    assert len(texts(page, "#usage rect.entropy")) == 3
    worst = page.execute_script("return document.querySelector('#worst-lists .card').innerText").split()
    assert worst[0] == "opus-6"
    assert [float(x) for x in worst[2::2]] == sorted(float(x) for x in worst[2::2])
    click(page, "#worst-lists a")
    opened = "document.querySelector('#recording h3')?.textContent"
    wait_for(page, f"location.hash === '#recording=' + encodeURIComponent({opened})")


def test_light_and_dark(page):
    background = "return getComputedStyle(document.body).backgroundColor"
    colours = []
    for value in ("light", "dark"):
        emulated = {"features": [{"name": "prefers-color-scheme", "value": value}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        colours.append(page.execute_script(background))
    assert colours[0] != colours[1]
    click(page, "#theme")
    assert page.execute_script(background) == colours[0]
    page.execute_script("localStorage.clear()")


def test_narrow_screens_do_not_scroll_sideways(page):
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        wait_for(page, "document.documentElement.scrollWidth <= 400")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
