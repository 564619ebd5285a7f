"""What every page is made of: its files, a route each, and answers in one line."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["page_routes", "said"]

SHARED = ("style.css", "icon.svg")  # by all pages
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def page_routes(package: str, name: str) -> list[Route]:
    """Routes of `static/NAME.html` of a package, which is the index, its script NAME.js, and what all share.

    A path of a request is compared with these and reaches no file system.
    """
    routes = [_route("/", package, f"{name}.html"), _route(f"/{name}.js", package, f"{name}.js")]
    return routes + [_route(f"/{shared}", __package__, shared) for shared in SHARED]


def said(status: int, text: str) -> Response:
    """An answer for people."""
    return PlainTextResponse(f"{text}\n", status)


def _route(path: str, package: str, name: str) -> Route:
    content = (files(package) / "static" / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=TYPES[name[name.rindex(".") :]])

    return Route(path, answer)
