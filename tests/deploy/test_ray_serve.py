"""Two replicas on a local Ray: what is streamed, and what a client sees when one of them is killed."""

import os
import socket
import sys
from pathlib import Path

import httpx
import openai
import pytest
from tiny_tts import write_tts

for name in ("PROXY_READY_CHECK", "PROXY_HEALTH_CHECK"):  # of Ray's own processes, on a busy machine
    os.environ[f"RAY_SERVE_{name}_TIMEOUT_S"] = "300"
os.environ["RAY_worker_register_timeout_seconds"] = "300"  # noqa: SIM112
ray = pytest.importorskip("ray", reason="needs pip install 'codec37[ray]'")
from ray import serve  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2]))
from deploy.ray_serve import Settings, application  # noqa: E402

pytestmark = pytest.mark.cluster
LONG = 100 * "One two three four five. "


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    tokenizer.save(folder / "codec")
    return write_tts(folder / "tiny", tokenizer, codec=str(folder / "codec"))


@pytest.fixture(scope="module")
def url(model):
    """The address of two replicas, of one slot each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(application(Settings(model=str(model), slots=1, cpus=0.5)))
    yield f"http://127.0.0.1:{port}/v1"
    serve.shutdown()
    ray.shutdown()


def speech(url, text):
    """A request and its response, as it comes."""
    body = {"model": "tiny", "voice": "kathleen", "input": text, "response_format": "pcm"}
    return httpx.stream("POST", f"{url}/audio/speech", json=body, timeout=300)


def heard(blocks):
    """How many bytes come, and whether that is the end of the response."""
    n = 0
    try:
        for block in blocks:
            n += len(block)
    except httpx.RemoteProtocolError:
        return n, False
    return n, True


def test_speech_streams(url):
    with speech(url, "One two. Three four.") as response:
        blocks = list(response.iter_raw())
    assert len(blocks) > 1
    assert sum(map(len, blocks)) % 3840 == 0


def test_refusals_are_those_of_the_server(url):
    client = openai.OpenAI(base_url=url, api_key="none")
    with pytest.raises(openai.BadRequestError, match="there is none of that name"):
        client.audio.speech.create(model="tiny", voice="alloy", input="One.")


def test_a_killed_replica_breaks_its_streams_and_no_others(url):
    one, *_ = [actor for actor in ray.util.list_named_actors(all_namespaces=True) if "Replica" in actor["name"]]
    with speech(url, LONG) as first, speech(url, LONG) as second:
        streams = [first.iter_raw(), second.iter_raw()]
        starts = [len(next(blocks)) for blocks in streams]  # both speak, in one slot each: on two replicas
        ray.kill(ray.get_actor(one["name"], one["namespace"]))
        outcomes = [heard(blocks) for blocks in streams]
    (whole,) = [start + n for start, (n, is_whole) in zip(starts, outcomes, strict=True) if is_whole]
    with speech(url, LONG) as response:
        assert heard(response.iter_raw()) == (whole, True)
