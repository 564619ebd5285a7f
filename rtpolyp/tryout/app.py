"""The page of `rtpolyp serve`: an upload in, its overlay, JSON lines and report out."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rtpolyp.tryout.jobs import Job, Jobs
from rtpolyp.tryout.kinds import HEAD_BYTES, kind_of
from rtpolyp.web.pages import page_routes, said

__all__ = ["Limits", "tryout_app"]

TYPES = {".mp4": "video/mp4", ".png": "image/png", ".jsonl": "application/jsonl", ".html": "text/html"}
STALL_SECONDS = 20.0  # without a byte, until an upload is given up


@dataclass(frozen=True)
class Limits:
    """What an upload may cost."""

    most_bytes: int = 512 << 20
    upload_seconds: float = 600.0
    job_seconds: float = 1800.0


def tryout_app(jobs: Jobs, limits: Limits) -> Starlette:
    """The application, which starts and closes `jobs` with itself."""
    page = _Page(jobs, limits)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        jobs.start()
        try:
            yield
        finally:
            await jobs.close()

    return Starlette(
        routes=[
            *page_routes("rtpolyp.tryout", "try"),
            Route("/uploads", page.upload, methods=["POST"]),
            Route("/jobs/{key}", page.job),
            Route("/jobs/{key}/close", page.close, methods=["POST"]),
            Route("/jobs/{key}/{name}", page.made),
        ],
        lifespan=lifespan,
    )


class _Refused(Exception):
    """What a stranger is told, and the status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Page:
    def __init__(self, jobs: Jobs, limits: Limits) -> None:
        self._jobs, self._limits = jobs, limits

    async def upload(self, request: Request) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limits.most_bytes:
            return _refused(413, f"A file may have {self._limits.most_bytes >> 20} MiB.")
        job = self._jobs.begin()
        if job is None:
            return _refused(503, "Too many files are held at present; close other pages, or try later.")
        try:
            job.upload = await self._receive(request, job)
        except _Refused as refused:
            self._jobs.remove(job)
            return _refused(refused.status, str(refused))
        except OSError as exc:
            self._jobs.remove(job)
            return _refused(507, f"The upload cannot be kept ({exc.strerror}).")
        except (ClientDisconnect, asyncio.CancelledError):
            self._jobs.remove(job)
            raise
        job.state = "waiting"
        return JSONResponse({"key": job.key}, 201)

    async def job(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["key"])
        if job is None:
            return said(404, "There is no such upload any more.")
        overlay = job.file("overlay")
        return JSONResponse(
            {
                "state": job.state,
                "place": self._jobs.place(job),
                "done": job.done,
                "total": job.total,
                "error": job.error,
                "picture": overlay is not None and overlay.suffix == ".png",
            }
        )

    async def close(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["key"])
        if job is not None:
            self._jobs.remove(job)
        return Response(status_code=204)

    async def made(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["key"])
        path = job.file(request.path_params["name"]) if job is not None else None
        if path is None:
            return said(404, "There is no such file.")
        shown = path.stem == "overlay"
        disposition = "inline" if shown and "download" not in request.query_params else "attachment"
        return FileResponse(
            path, media_type=TYPES[path.suffix], filename=path.name, content_disposition_type=disposition
        )

    async def _receive(self, request: Request, job: Job) -> Path:
        """The upload in the job's folder, under a name of ours."""
        end = time.monotonic() + self._limits.upload_seconds
        pieces = request.stream()
        head, size = b"", 0
        part = job.folder / "upload.part"
        with part.open("wb") as file:
            while True:
                try:
                    piece = await asyncio.wait_for(
                        anext(pieces), min(STALL_SECONDS, max(0, end - time.monotonic()))
                    )
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise _Refused(408, "The upload took too long.") from None
                size += len(piece)
                if size > self._limits.most_bytes:
                    raise _Refused(413, f"A file may have {self._limits.most_bytes >> 20} MiB.")
                head = head + piece if len(head) < HEAD_BYTES else head
                if len(head) >= HEAD_BYTES and kind_of(head) is None:
                    break
                file.write(piece)
        extension = kind_of(head)
        if extension is None:
            raise _Refused(415, "This is no picture or video that is read, such as PNG, JPEG, MP4 or MKV.")
        return part.rename(job.folder / f"upload{extension}")


def _refused(status: int, text: str) -> Response:
    """An answer before the end of the upload, whose rest nobody reads."""
    return PlainTextResponse(f"{text}\n", status, headers={"Connection": "close"})
