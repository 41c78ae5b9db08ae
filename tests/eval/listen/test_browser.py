"""Listeners go through a test, and what they save can be scored."""

import json

import pytest
from pages import console_errors, wait_for
from waiting import wait_until

from eval.listen.__main__ import main
from eval.listen.key import Key
from eval.listen.score import main as score

PLAYED = "Number(document.querySelector('.position').style.getPropertyValue('--at'))"


@pytest.fixture
def page(browser):
    yield browser
    assert console_errors(browser) == []


def begin(page, run, listener):
    page.get((run / "listen.html").as_uri())
    page.find_element("id", "listener").send_keys(listener)
    page.find_element("css selector", "form button").click()


def sounds(page):
    wait_for(page, "document.querySelectorAll('.sound:enabled').length > 2")
    return page.find_elements("css selector", ".sound")


def rate(page, scores):
    for button in sounds(page):
        assert not page.find_element("css selector", "input[type=range]").is_enabled()
        button.click()
    page.execute_script(
        """const sliders = document.querySelectorAll("input[type=range]");
           arguments[0].forEach((score, i) => {
             sliders[i].value = score; sliders[i].dispatchEvent(new Event("input")); });""",
        scores,
    )


def save(page, folder):
    """Save the answers as a listener does; the file."""
    wait_for(page, "document.getElementById('answers') !== null")
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    link = page.find_element("id", "save")
    link.click()
    file = folder / link.get_attribute("download")
    wait_until(file.exists, str(file))
    assert file.read_text() == page.find_element("id", "answers").get_attribute("value")
    return file


def test_mushra(page, run, tmp_path, capsys):
    main([str(run), "--systems", "model", "opus-6", "--trials", "2"])
    begin(page, run, "Änne 1")
    assert page.find_element("id", "count").text == "1 of 2"
    rate(page, [1, 2, 3])
    assert not page.find_element("css selector", ".primary").is_enabled()  # one is not rated
    rate_all = [10, 20, 30, 40]
    page.refresh()
    begin(page, run, "Änne 1")
    rate(page, rate_all)
    page.find_element("css selector", ".primary").click()
    page.refresh()
    begin(page, run, "Änne 1")
    assert page.find_element("id", "count").text == "2 of 2"  # what is done is kept
    rate(page, rate_all)
    page.find_element("css selector", ".primary").click()
    file = save(page, tmp_path)
    assert file.name == "answers-Änne-1.json"
    saved = json.loads(file.read_text())
    assert {trial: sorted(scores.values()) for trial, scores in saved["answers"].items()} == dict.fromkeys(
        ("t1", "t2"), rate_all
    )
    assert saved["started"] < saved["finished"]
    assert score([str(run / "listen.key.json"), str(file)]) == 0
    assert "not counted: Änne 1" in capsys.readouterr().out


def test_sounds_take_over_at_the_same_position(page, run):
    main([str(run), "--systems", "model", "--trials", "1"])
    begin(page, run, "Bob")
    first, second = sounds(page)[:2]
    first.click()
    wait_for(page, f"{PLAYED} > 0.2")
    second.click()
    assert page.execute_script(f"return {PLAYED}") > 0.2
    assert (first.get_attribute("aria-pressed"), second.get_attribute("aria-pressed")) == ("false", "true")
    page.find_element("css selector", "body").send_keys("2")
    assert second.get_attribute("aria-pressed") == "false"
    page.find_element("css selector", "body").send_keys(" ")
    assert page.execute_script("return document.querySelectorAll('.sound[aria-pressed=true]').length") == 0


def test_orders_are_each_listeners_own(page, run):
    main([str(run), "--systems", "model", "opus-6", "model:2", "--trials", "1"])
    orders = []
    for listener in ("Ann", "Ann", "Bob"):
        begin(page, run, listener)
        rate(page, [1, 2, 3, 4, 5])
        page.find_element("css selector", ".primary").click()
        orders.append(json.loads(page.find_element("id", "answers").get_attribute("value"))["answers"]["t1"])
        page.execute_script("localStorage.clear()")
    assert orders[0] == orders[1] != orders[2]


def test_abx(page, run, tmp_path, capsys):
    main([str(run), "--systems", "reference", "model", "--kind", "abx", "--trials", "3"])
    key = Key.load(run / "listen.key.json")
    begin(page, run, "Ann")
    for count in range(3):
        assert page.find_element("id", "count").text == f"{count + 1} of 3"
        choices = page.find_elements("css selector", "footer button")
        for sound in sounds(page):
            assert not choices[0].is_enabled()
            sound.click()
        choices[count % 2].click()
    file = save(page, tmp_path)
    answers = json.loads(file.read_text())["answers"]
    correct = sum(answers[trial.id] == trial.answer for trial in key.trials)
    assert score([str(run / "listen.key.json"), str(file)]) == 0
    assert f"| Ann | {correct} of 3 |" in capsys.readouterr().out
