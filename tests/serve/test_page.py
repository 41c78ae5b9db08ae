"""The page at `/` in headless Chromium: speech is heard, stops, survives a lost connection, and fails visibly."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from pages import chromium, console_errors, wait_for
from waiting import wait_until

import codec.tts

SPEAKER = Path(codec.tts.__file__).parent / "speakers/kathleen.flac"
TEXT = 3 * "One two three four five. "

# All that the page plays, as it goes to the loudspeaker.
TAP = """
const { output, wake } = await import("./page/output.js");
await wake();
const { context, destination } = output();
await context.audioWorklet.addModule("page/capture.js");
const tap = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
window.played = [];
tap.port.onmessage = ({ data }) => played.push(...data);
destination.connect(tap);
const silence = new ConstantSourceNode(context, { offset: 0 }); // is played too
silence.connect(tap);
silence.start();
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium whose microphone says the same again and again, and which plays sound without a click before it."""
    recording = tmp_path_factory.mktemp("microphone") / "speech.wav"
    samples, rate = soundfile.read(SPEAKER)
    soundfile.write(recording, np.append(samples, np.zeros(rate)), rate, subtype="PCM_16")
    with chromium(
        "--autoplay-policy=no-user-gesture-required",
        f"--use-file-for-fake-audio-capture={recording}",
    ) as browser:
        yield browser


@pytest.fixture
def page(browser, url):
    """The page, let in by its key, and all it plays in `played`."""
    browser.get(url)
    browser.execute_script("sessionStorage.setItem('api-key', 'a-key'); sessionStorage.removeItem('lost')")
    browser.get(url)
    wait_for(browser, "!document.getElementById('panels').inert && document.getElementById('voice').length > 0")
    browser.execute_async_script(f"const done = arguments[0]; (async () => {{ {TAP} }})().then(done)")
    console_errors(browser)
    choose(browser, "ada")
    yield browser
    assert not [line for line in console_errors(browser) if "WebSocket" not in line and "status of 4" not in line]


def element(page, name):
    return page.find_element("id", name)


def choose(page, voice):
    page.execute_script("document.getElementById('voice').value = arguments[0]", voice)


def text_of(page, selector):
    return page.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def notice(page, panel):
    return text_of(page, f"#{panel} .notice")


def say(page, text=TEXT):
    page.execute_script("document.getElementById('text').value = arguments[0]", text)
    page.execute_script("document.getElementById('speak-form').requestSubmit()")


def played(page):
    return np.array(page.execute_script("return played"), dtype=np.float32)


def is_silent(page, seconds):
    """Whether nothing is played in the next seconds."""
    page.execute_script("played.length = 0")
    wait_for(page, f"played.length > {seconds * 24_000:.0f}")
    return not played(page)[-12_000:].any()


def test_the_page_asks_for_a_key_and_says_that_it_is_wrong(browser, url):
    browser.get(url)
    browser.execute_script("sessionStorage.clear()")
    browser.get(url)
    wait_for(browser, "!document.getElementById('key-form').hidden")
    element(browser, "key").send_keys("no-key\n")
    wait_until(lambda: "unknown" in text_of(browser, "body > .notice"), "an error")
    element(browser, "key").clear()
    element(browser, "key").send_keys("a-key\n")
    wait_for(browser, "!document.getElementById('panels').inert")
    assert text_of(browser, "body > .notice") == ""
    console_errors(browser)


def test_speech_is_heard_with_its_tokens_and_its_words(page, tts):
    marked = (
        "window.marks = new Set(); new MutationObserver(() => marks.add(document.querySelector('mark')?.textContent))"
    )
    page.execute_script(f"{marked}.observe(document.getElementById('said'), {{childList: true}})")
    say(page)
    wait_for(page, "document.getElementById('stop').disabled")
    wait_for(page, "played.slice(-4800).every((x) => x === 0)")  # the last of it has come here
    seconds = float(text_of(page, "#seconds").split()[0])
    heard = np.flatnonzero(played(page))
    assert len(heard), "silence"
    if text_of(page, "#gaps") == "0":
        assert (heard[-1] - heard[0]) / 24_000 == pytest.approx(seconds, abs=0.3)
    assert float(text_of(page, "#rtf")) > 0
    assert text_of(page, "#first-packet").endswith(" ms")
    assert text_of(page, ".heard") == TEXT
    assert {"One", "two"} & set(page.execute_script("return [...marks]"))
    colours = "new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    for canvas in ("tokens", "spectrogram"):
        wait_for(page, f"(c => {colours})(document.getElementById('{canvas}')) > 2")
    assert page.execute_script("return document.getElementById('tokens').height") == len(
        tts.codec.config.codebook_sizes
    )


def test_cancel_is_silence(page):
    say(page, 20 * TEXT)
    wait_for(page, "played.some((x) => x)")
    element(page, "stop").click()
    assert is_silent(page, 1.0)


def test_errors_are_shown(page):
    say(page, "...")
    wait_until(lambda: "nothing to say" in notice(page, "speak-panel"), "an error")
    page.execute_script("document.getElementById('voice').append(new Option('nobody', 'nobody'))")
    choose(page, "nobody")
    say(page)
    wait_until(lambda: "'nobody'" in notice(page, "speak-panel"), "an error")


def test_a_lost_connection_comes_back_and_goes_on(page):
    page.execute_script("""
        window.sockets = [];
        const send = WebSocket.prototype.send;
        const isSpeech = (socket) => socket.url.includes("speech");
        WebSocket.prototype.send = function (data) {
            if (!sockets.some(isSpeech) && isSpeech(this))  // lost at its first packet
                this.addEventListener("message", ({ data }) => typeof data === "string" || this.close());
            if (!sockets.includes(this)) sockets.push(this);
            send.call(this, data);
        };
    """)
    say(page)
    wait_for(page, "document.querySelector('#speak-panel .notice').textContent.startsWith('Connected again')")
    wait_for(page, "document.getElementById('stop').disabled")
    assert len([1 for url in page.execute_script("return sockets.map((s) => s.url)") if "speech" in url]) == 2
    assert text_of(page, ".heard") == TEXT


def test_a_voice_needs_a_recording_and_a_consent_note(page, http):
    element(page, "voice-name").send_keys("kate")
    element(page, "voice-consent").send_keys("Kate agreed by mail")
    submit = page.find_element("css selector", "#voice-form .primary")
    submit.click()
    wait_until(lambda: "first" in notice(page, "voices-panel"), "an error")
    element(page, "voice-file").send_keys(str(SPEAKER))
    wait_for(page, "document.getElementById('voice-source').textContent != ''")
    submit.click()
    wait_until(lambda: not notice(page, "voices-panel").startswith("Making"), "a voice", seconds=60)
    assert notice(page, "voices-panel") == "kate is there, and chosen."
    assert page.execute_script("return document.getElementById('voice').value") == "kate"
    assert {"id": "kate", "consent": "Kate agreed by mail"}.items() <= http.get("/v1/audio/voices").json()["data"][
        -1
    ].items()
    page.find_element("css selector", "[aria-label='Delete kate']").click()
    wait_for(page, "!document.querySelector(\"[aria-label='Delete kate']\")")


def test_the_slider_changes_the_sound_and_not_the_place(page, tts, http):
    tokens = http.post("/v1/codec/encode", files={"file": SPEAKER.read_bytes()}).json()
    most = tts.codec.config.num_codebooks
    sounds = {}  # of the loop, by codebooks
    for n_q in (most, 1):
        answer = http.post("/v1/codec/decode?response_format=pcm", json={**tokens, "codes": tokens["codes"][:n_q]})
        sounds[n_q] = np.frombuffer(answer.content, "<i2") / 32768
    element(page, "rate-file").send_keys(str(SPEAKER))
    wait_for(page, "played.some((x) => x)")
    assert f"all {most} codebooks" in text_of(page, "#rate-label")
    drifts = []
    while not drifts or (abs(drifts[-1]) > 250 and len(drifts) < 4):  # a busy machine may start a sound late
        earlier, place = heard_as(most, page, sounds)
        slide(page, 1)
        assert "semantic only" in text_of(page, "#rate-label")
        now, later = heard_as(1, page, sounds)
        size = len(sounds[1])
        drifts.append((later - place - (now - earlier) + size // 2) % size - size // 2)
        slide(page, most)
    assert abs(drifts[-1]) <= 250, f"samples between where it is and where it would be: {drifts}"
    element(page, "rate-play").click()
    assert is_silent(page, 1.0)


def slide(page, n_q):
    change = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    page.execute_script(change, element(page, "rate"), n_q)


def heard_as(name, page, sounds):
    """Wait for a sound: how many samples were played until then, and the place in it of the last half second."""
    while True:
        samples = played(page)
        found, place = match(samples[-12_000:], sounds)
        if found == name:
            return len(samples), place


def match(samples, sounds):
    """Of looping sounds by name, the one and the place in it that samples are of."""
    scores = {}
    for name, sound in sounds.items():
        size = len(sound)
        product = np.fft.irfft(np.fft.rfft(sound) * np.fft.rfft(samples, size).conj(), size)
        place = int(product.argmax())
        there = sound[(place + np.arange(len(samples))) % size]
        scores[product[place] / (np.linalg.norm(there) * np.linalg.norm(samples) + 1e-9)] = name, place
    score = max(scores)
    return scores[score] if score > 0.98 else (None, 0)


def test_the_microphone_is_heard_through_the_codec(page):
    element(page, "loop-toggle").click()
    wait_for(page, "played.some((x) => x)")
    element(page, "loop-toggle").click()
    assert is_silent(page, 1.0)


def test_the_echo_agent_is_interrupted_by_typing(page):
    box = element(page, "agent-text")
    box.send_keys(3 * TEXT + "\n")
    wait_for(page, "played.some((x) => x)")
    box.send_keys("w")
    assert is_silent(page, 1.0)
    assert page.find_elements("css selector", "#conversation .interrupted")


def test_the_agent_is_interrupted_by_talking(page):
    element(page, "agent-listen").click()
    element(page, "agent-text").send_keys(3 * TEXT + "\n")
    wait_for(page, "document.querySelector('#conversation .interrupted')")


def test_the_agent_hears_what_is_said(page):
    assert text_of(page, "#agent-listen-label") == "Talk to it"
    element(page, "agent-listen").click()
    wait_until(lambda: "Three four." in text_of(page, "#conversation"), "an answer")
    element(page, "agent-listen").click()


class _Chat(BaseHTTPRequestHandler):
    asked: ClassVar[dict] = {}

    def _head(self, status, kind):
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Headers": "*",
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def do_OPTIONS(self):
        self._head(204, "text/plain")

    def do_POST(self):
        _Chat.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer chat-key":
            self._head(401, "application/json")
            self.wfile.write(b'{"error": {"message": "who are you?"}}')
            return
        self._head(200, "text/event-stream")
        for piece in ("Three ", "four ", "five."):
            self.wfile.write(f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *arguments):
        pass


def test_an_agent_of_the_users_answers(page):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.execute_script("document.querySelector('#agent-panel details').open = true")
        element(page, "agent-url").send_keys(f"http://127.0.0.1:{server.server_port}/v1")
        element(page, "agent-model").send_keys("small")
        element(page, "agent-text").send_keys("One two\n")
        wait_until(lambda: "who are you?" in notice(page, "agent-panel"), "an error")
        element(page, "agent-key").send_keys("chat-key")
        element(page, "agent-text").send_keys("One two\n")
        wait_until(lambda: text_of(page, "#conversation li:last-child .heard") == "Three four five.", "an answer")
    finally:
        server.shutdown()
    assert _Chat.asked["model"] == "small"
    assert _Chat.asked["stream"]
    assert _Chat.asked["messages"][-1] == {"role": "user", "content": "One two"}
