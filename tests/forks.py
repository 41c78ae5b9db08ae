"""`python -m` without the seconds that torch takes to load: forks of one process that has loaded it.

That process has imported nothing of the repository, so a fork may run another copy of it.
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
SLOW = ("torch._dynamo", "torch.distributed.checkpoint.state_dict", "torchaudio.functional", "hydra", "num2words")


class Fork:
    """`python -m MODULE ARGUMENTS` with one thread; attributes and methods are those of `subprocess.Popen`.

    Args:
        module: name of the module.
        arguments: of its command line.
        log: file that stdout and stderr are appended to.
        cwd: where it runs, and imports from.
        env: changes of the environment.
    """

    def __init__(self, module: str, *arguments: object, log: Path, cwd: Path = ROOT, **env: str) -> None:
        argv = [module, *map(str, arguments)]
        self.pid = _ask({"argv": argv, "log": str(log), "cwd": str(cwd), "env": {**os.environ, **env}})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                self.send_signal(signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} did not end in {timeout:g} s")
            time.sleep(0.1)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def fork_code(code: str, folder: Path, *arguments: object) -> Fork:
    """`python -c CODE ARGUMENTS`; the code and its output are `script.py` and `log` of the folder."""
    (folder / "script.py").write_text(code)
    return Fork("script", *arguments, log=folder / "log", cwd=folder)


def run_ranks(size: int, module: str, *arguments: object, log: Path) -> int:
    """Run a command in `size` processes of one group, as `torchrun` does; returns the worst exit status."""
    with socket.create_server(("localhost", 0)) as free:
        group = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(size)}
    ranks = [Fork(module, *arguments, log=log, **group, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(size)]
    return max((rank.wait() for rank in ranks), key=abs)


@cache
def _server() -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    atexit.register(server.communicate)  # which ends it
    return server


def _ask(request: dict[str, object]) -> int | None:
    server = _server()
    print(json.dumps(request), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


def _serve() -> None:
    """Answer each request to run with a process id, and each process id with its exit status or null."""
    for module in SLOW:
        import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            pid, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                return _run(**request)
        print(json.dumps(answer), flush=True)


def _run(argv: list[str], log: str, cwd: str, env: dict[str, str]) -> None:
    with open(os.devnull) as nothing, open(log, "a") as output:
        for handle, file in enumerate((nothing, output, output)):
            os.dup2(file.fileno(), handle)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0], sys.argv = cwd, argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
