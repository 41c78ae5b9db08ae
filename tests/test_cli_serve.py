"""`codec serve`, and the commands of its page, against a server that runs until it is told to end."""

import json
import re
import shlex
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
from forks import Fork
from tiny_tts import write_tts
from typer.testing import CliRunner
from waiting import wait_until

import codec.cli
import codec.tts
from codec.tts.config import SequenceConfig

PAGE = (Path(__file__).parent.parent / "docs/howto/serve.md").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)).replace("\\\n", "")
KEY = {"Authorization": "Bearer a-key"}
ADDRESS = "127.0.0.1:8000"  # of the page


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    """A working folder with a tiny model, keys, and a recording."""
    folder = tmp_path_factory.mktemp("serve")
    tokenizer.save(folder / "codec")
    sequence = SequenceConfig(design="aligned", audio_history=False)  # as the default model has it
    write_tts(folder / "default", tokenizer, codec=str(folder / "codec"), sequence=sequence)
    (folder / "voices").mkdir()
    (folder / "keys.txt").write_text("a-key\n")
    clip = Path(codec.tts.__file__).parent / "speakers/kathleen.flac"
    (folder / "ada.flac").write_bytes(clip.read_bytes())
    return folder


@contextmanager
def started(folder):
    """A process of the page's first command, on a free port; its address; and its log."""
    _, *arguments = next(shlex.split(line) for line in SHELL.splitlines() if line.startswith("codec serve --v"))
    log = folder / "log"
    log.write_text("")
    process = Fork("codec.cli", *arguments, "--port", "0", "--model", "default", log=log, cwd=folder)

    def address():
        return re.search(r"running on http://([^\s\"]+).*\n", log.read_text())

    try:
        wait_until(lambda: address() or process.poll() is not None, "the server", seconds=120)
        assert process.poll() is None, log.read_text()
        yield process, address()[1], log
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def server(folder):
    with started(folder) as server:
        yield server


def test_the_page_works(server, folder, capsys):
    _, address, _ = server
    for line in SHELL.splitlines():
        if line.startswith("curl"):
            command = shlex.split(line.replace(ADDRESS, address).replace("$KEY", "a-key"))
            result = subprocess.run([*command, "--fail-with-body"], cwd=folder, capture_output=True, text=True)
            assert result.returncode == 0, result.stdout + result.stderr
    assert (folder / "speech.wav").read_bytes().startswith(b"RIFF")
    assert (folder / "ada.c37").is_file()
    for example in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(example.replace(ADDRESS, address), {})
    assert '"word":"morning."' in capsys.readouterr().out
    counts = httpx.get(f"http://{address}/metrics").text
    assert 'codec_requests_total{path="/v1/audio/speech",status="200"}' in counts
    assert re.search(r"codec_audio_seconds_total [1-9.]", counts)


def test_the_readme_shows_what_works():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    shell, client = re.findall(r"```(?:sh|py)\n(.*?)```", readme[readme.index("OpenAI's clients") :], flags=re.DOTALL)
    assert set(shell.replace("\\\n", "").splitlines()) <= set(SHELL.splitlines())
    assert f"```python\n{client}```" in PAGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--voices", "nowhere"], "no such folder"), (["--key-file", "keys"], "no key in it"), (["--key-file", "x"], "x")],
)
def test_refusals(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys").write_text("\n")
    result = CliRunner().invoke(codec.cli.app, ["serve", *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(("host", "is_warned"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)])
def test_open_servers_are_warned_of(host, is_warned, monkeypatch):
    monkeypatch.setattr(codec.cli.serve, "open_model", lambda *a: exit(0))
    result = CliRunner().invoke(codec.cli.app, ["serve", "--host", host])
    assert ("whoever reaches" in result.output) == is_warned


def test_what_is_being_spoken_is_finished_on_sigterm(server):
    """The last test of this server, which it ends."""
    process, address, log = server
    client = openai.OpenAI(base_url=f"http://{address}/v1", api_key="a-key")
    text = "One two three four five."
    ask = {"model": "default", "voice": "kathleen", "input": text, "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**ask) as response:
        blocks = response.iter_bytes()
        spoken = next(blocks)
        process.send_signal(signal.SIGTERM)
        spoken += b"".join(blocks)
        request_id = response.headers["x-request-id"]
    process.wait(60)
    lines = [json.loads(line) for line in log.read_text().partition("running on")[2].splitlines()[1:]]
    assert any(line.get("request_id") == request_id and line["status"] == 200 for line in lines)
    assert len(spoken) % 3840 == 0
    assert len(spoken) > 3 * 3840


def test_voices_outlive_a_server_that_is_killed(folder):
    sample = (folder / "ada.flac").read_bytes()
    with started(folder) as (_, address, _):  # and killed in the end
        form = {"name": "eve", "consent": "Eve agreed"}
        url = f"http://{address}/v1/audio/voices"
        answer = httpx.post(url, headers=KEY, files={"audio_sample": sample}, data=form, timeout=None)
        assert answer.status_code == 201
    with started(folder) as (_, address, _):
        listed = httpx.get(f"http://{address}/v1/audio/voices", headers=KEY, timeout=None).json()["data"]
    assert "eve" in {voice["id"] for voice in listed}
