"""Two replicas on a local Ray: what is streamed, and what a client sees when one of them is killed."""

import os
import socket
import sys
from pathlib import Path

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
LONG = 40 * "One two three four five. "


@pytest.fixture(scope="module")
def model(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    tokenizer.save(folder / "codec")
    return write_tts(folder / "tiny", tokenizer, codec=str(folder / "codec"))


@pytest.fixture(scope="module")
def client(model):
    """An OpenAI client of two replicas, of one slot each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(application(Settings(model=str(model), slots=1, cpus=0.5)))
    yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    serve.shutdown()
    ray.shutdown()


def streamed(client, text):
    return client.audio.speech.with_streaming_response.create(
        model="tiny", voice="kathleen", input=text, response_format="pcm"
    )


def test_speech_streams(client):
    with streamed(client, "One two. Three four.") as response:
        blocks = list(response.iter_bytes())
    assert len(blocks) > 1
    assert sum(map(len, blocks)) % 3840 == 0


def test_refusals_are_those_of_the_server(client):
    with pytest.raises(openai.BadRequestError, match="there is none of that name"):
        client.audio.speech.create(model="tiny", voice="alloy", input="One.")


def test_a_killed_replica_breaks_its_streams_and_no_others(client):
    replicas = [a for a in ray.util.list_named_actors(all_namespaces=True) if "Replica" in a["name"]]
    with streamed(client, LONG) as first, streamed(client, LONG) as second:
        streams = [first.iter_bytes(), second.iter_bytes()]
        for blocks in streams:  # of one slot each, so they are on two replicas
            next(blocks)
        ray.kill(ray.get_actor(replicas[0]["name"], replicas[0]["namespace"]))
        outcomes = []
        for blocks in streams:
            try:
                outcomes.append(sum(map(len, blocks)))
            except Exception as error:
                outcomes.append(error)
    print(outcomes)
    test_speech_streams(client)
