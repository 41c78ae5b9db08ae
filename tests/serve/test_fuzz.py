"""Whatever is sent over HTTP is answered, and never with an error of the server."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def objects(**fields):
    """JSON objects of which each field has its value, another one, or none."""
    return st.fixed_dictionaries({}, optional={name: value | VALUES for name, value in fields.items()})


SPEECH = objects(
    model=st.just("tiny"),
    input=st.text(max_size=12),
    voice=st.just("ada"),
    response_format=st.sampled_from(["pcm", "opus", "flac"]),
    stream_format=st.sampled_from(["audio", "sse"]),
    language=st.sampled_from(["en", "de", "x"]),
    seed=st.integers(),
)
CODES = objects(
    codes=st.lists(st.lists(st.integers(-1, 70), max_size=3), max_size=3),
    n_samples=st.integers(),
    fingerprint=st.text(max_size=16),
    provenance=st.just({"notice": "synthetic"}),
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def post(http):
    def send(path, content, headers=JSON):
        answer = http.post(path, content=content, headers=headers)
        assert answer.status_code < 500, (path, content, answer.text)
        assert answer.status_code < 400 or answer.json()["error"]["message"]

    return send


@SETTINGS
@given(SPEECH | VALUES)
def test_speech(post, body):
    post("/v1/audio/speech", json.dumps(body))


@SETTINGS
@given(CODES | VALUES)
def test_tokens(post, body):
    post("/v1/codec/decode", json.dumps(body))


@SETTINGS
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89C37\r\n", b"RIFF", b"fLaC"]))
def test_bytes(post, content, magic):
    post("/v1/codec/decode", magic + content, {"Content-Type": "application/octet-stream"})
    post("/v1/audio/speech", magic + content)
    for path in ("/v1/codec/encode", "/v1/audio/voices"):
        post(path, magic + content, {"Content-Type": "multipart/form-data; boundary=x"})


@SETTINGS
@given(st.text(max_size=30))
def test_paths(http, name):
    for path in ("/v1/models/", "/v1/audio/voices/"):
        assert http.get(path + "".join(f"%{byte:02x}" for byte in name.encode(errors="replace"))).status_code < 500
