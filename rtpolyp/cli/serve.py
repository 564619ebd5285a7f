"""`rtpolyp serve`: a page to which one drags a picture or a clip."""

from rtpolyp.cli.flags import EngineFlags
from rtpolyp.terminal.console import make_console
from rtpolyp.tryout.server import serve_tryout

__all__ = ["serve"]


def serve(
    *,
    listen: str = "127.0.0.1:8080",
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
) -> None:
    """Serve a page to which one drags a picture or a clip, and gets the overlay, the JSON and a report back.

    Parameters
    ----------
    listen
        HOST:PORT or :PORT; any address but a loopback one asks for the token that is printed.
    """
    console = make_console()

    def say(url: str) -> None:
        console.print(f"open {url}; Ctrl-C ends it", highlight=False, soft_wrap=True)

    serve_tryout(engine.recipe(optimise_for="throughput"), listen, on_url=say)
