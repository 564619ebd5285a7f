"""`rtpolyp serve` as a server for tests, on a thread of this process."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.tryout.app import Limits, tryout_app
from rtpolyp.tryout.jobs import Jobs
from rtpolyp.web.address import Address, listen
from rtpolyp.web.guard import Guard

WAIT_SECONDS = 90.0  # for what takes three seconds on a quiet machine


class Serving:
    """The page, with limits of its own."""

    def __init__(self, bundle: Path, limits: Limits, keep_seconds: float = 3600.0) -> None:
        address, listener = listen(Address.parse(":0"))
        self.url = f"http://127.0.0.1:{address.port}"
        self.jobs = Jobs(
            EngineRecipe(bundle, precision="fp32"), most_seconds=limits.job_seconds, keep_seconds=keep_seconds
        )
        config = uvicorn.Config(Guard(tryout_app(self.jobs, limits), address), log_config=None, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), daemon=True
        )
        self._thread.start()
        sent = {"Origin": self.url}
        self.client = httpx.Client(base_url=self.url, headers=sent, timeout=60, trust_env=False)

    @property
    def files(self) -> list[Path]:
        """All that lies in the server's folder."""
        return [path for path in self.jobs._root.rglob("*") if path.is_file()]

    def upload(self, data: bytes) -> str:
        answer = self.client.post("/uploads", content=data)
        assert answer.status_code == 201, answer.text
        return answer.json()["key"]

    def until(self, key: str, *states: str) -> dict:
        end = time.monotonic() + WAIT_SECONDS
        while (job := self.client.get(f"/jobs/{key}").json())["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.1)
        return job

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()


@contextlib.contextmanager
def serving(bundle, **options) -> Iterator[Serving]:
    keep = options.pop("keep_seconds", 3600.0)
    served = Serving(bundle.folder, Limits(**options), keep)
    try:
        yield served
    finally:
        served.close()


@pytest.fixture(scope="module")
def served(bundle, tmp_path_factory) -> Iterator[Serving]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.mktemp("cache")))
        with serving(bundle) as one:
            yield one
