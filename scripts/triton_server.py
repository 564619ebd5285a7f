"""Serve a model repository by NVIDIA's Triton on this machine alone, without a container.

python scripts/triton_server.py REPOSITORY [--grpc-port 8001] [--http-port 8000]

For trying and for tests; a hospital's server runs NVIDIA's container. The server is that of the environment
.venv-triton (see scripts/triton_requirements.txt); a Python model has the packages of this script's Python.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from rtpolyp.errors import BackendError
from rtpolyp.terminal.command_line import make_app, run_app

__all__ = ["TritonServer", "free_port", "server_folder", "triton"]

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0  # the Python model measures which precision is fastest
END_SECONDS = 10.0
SHARED_MEMORY = Path("/dev/shm")
POLL_SECONDS = 0.1
LAST_LINES = 12  # of a log, in an error

app = make_app("python scripts/triton_server.py", __doc__)


@dataclass(frozen=True)
class TritonServer:
    """A server that is ready."""

    process: "subprocess.Popen[bytes]"
    grpc_port: int
    http_port: int
    log: Path

    def url(self, model: str, scheme: str = "grpc") -> str:
        """The address of a model, as --engine takes it."""
        return f"{scheme}://127.0.0.1:{self.grpc_port if scheme == 'grpc' else self.http_port}/{model}"

    def kill(self) -> None:
        """End it as a power cut would."""
        model_processes = psutil.Process(self.process.pid).children(recursive=True)
        for process in (*model_processes, psutil.Process(self.process.pid)):
            process.kill()
        self.process.wait()


def server_folder() -> Path:
    """The folder of the server's program and backends; raises BackendError where it is not installed."""
    for folder in (ROOT / ".venv-triton").glob("lib/python*/site-packages/pytriton/tritonserver"):
        return folder
    raise BackendError(
        ".venv-triton: no Triton server; python3 -m venv .venv-triton && "
        ".venv-triton/bin/pip install --no-deps -r scripts/triton_requirements.txt"
    )


@contextlib.contextmanager
def triton(repository: Path, *, grpc_port: int = 0, http_port: int = 0) -> Iterator[TritonServer]:
    """Serve on loopback until the end of the block; a port of 0 is any that is free.

    Raises BackendError, with the end of the server's log, where it does not become ready.
    """
    folder = server_folder()
    grpc_port, http_port = grpc_port or free_port(), http_port or free_port()
    with tempfile.TemporaryDirectory(prefix="rtpolyp-triton-") as work:
        log = Path(work, "log.txt")
        command = [
            *(str(folder / "bin" / "tritonserver"), f"--model-repository={repository.resolve()}"),
            f"--backend-directory={_backends(folder, Path(work))}",
            *("--http-address=127.0.0.1", f"--http-port={http_port}"),
            *("--grpc-address=127.0.0.1", f"--grpc-port={grpc_port}", "--allow-metrics=false"),
            *("--exit-timeout-secs=1", f"--backend-config=python,shm-region-prefix-name={log.parent.name}-"),
        ]
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env=os.environ | _environment(folder)
            )
        server = TritonServer(process, grpc_port, http_port, log)
        try:
            _await(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
            for left in SHARED_MEMORY.glob(f"{log.parent.name}-*"):  # by a server that was killed
                left.unlink()


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _backends(folder: Path, work: Path) -> Path:
    """The backends with the stub of this Python in its place, which the wheel keeps elsewhere."""
    stub = folder / "python_backend_stubs" / f"3.{sys.version_info.minor}" / "triton_python_backend_stub"
    if not stub.is_file():
        raise BackendError(
            f"{stub}: no such file; this server's Python model runs on none but {_pythons(folder)}"
        )
    backends = Path(shutil.copytree(folder / "backends", work / "backends"))
    shutil.copy(stub, backends / "python" / stub.name)
    return backends


def _pythons(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in (folder / "python_backend_stubs").iterdir()))


def _environment(folder: Path) -> dict[str, str]:
    """Libraries of the server and of Python; the Python model's packages are those of the first python3."""
    libraries = [folder.parents[1] / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
    paths = {"LD_LIBRARY_PATH": libraries, "PATH": [Path(sys.executable).parent]}
    return {
        name: os.pathsep.join([*map(str, first), *filter(None, [os.environ.get(name)])])
        for name, first in paths.items()
    }


def _await(server: TritonServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    address = f"http://127.0.0.1:{server.http_port}/v2/health/ready"
    while server.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(address, timeout=1):
            return
        time.sleep(POLL_SECONDS)
    lines = server.log.read_text(errors="replace").splitlines()
    said = [line for line in lines if line.startswith(("E", "error")) or "Exception" in line] or lines
    raise BackendError(f"tritonserver did not become ready: {' | '.join(said[-LAST_LINES:])}")


@app.default
def main(repository: Path, /, *, grpc_port: int = 8001, http_port: int = 8000) -> None:
    """Serve until Ctrl-C.

    Parameters
    ----------
    repository
        The folder that `rtpolyp serve-export` wrote into.
    grpc_port
        Port of grpc://127.0.0.1:PORT/MODEL.
    http_port
        Port of http://127.0.0.1:PORT/MODEL.
    """
    with triton(repository, grpc_port=grpc_port, http_port=http_port) as server:
        for model in sorted(path.parent.name for path in repository.glob("*/config.pbtxt")):
            print(f"{server.url(model)} and {server.url(model, 'http')}; Ctrl-C ends it", flush=True)
        server.process.wait()


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
