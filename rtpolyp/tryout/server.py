"""serve_tryout: what `rtpolyp serve` does, as a function."""

from collections.abc import Callable

from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.inference.remote.address import is_remote
from rtpolyp.web.address import DEFAULT, Address, listen
from rtpolyp.web.server import check_installed, run_server

__all__ = ["serve_tryout"]


def serve_tryout(recipe: EngineRecipe, address: str = DEFAULT, *, on_url: Callable[[str], None]) -> None:
    """Serve the page for uploads until a signal comes; `on_url` is told where it is, with its token.

    Raises InputError where the address is none or cannot be listened on, or where the extra [serve] is not
    installed, and EngineError for a missing or broken bundle.
    """
    check_installed("listen")
    if not is_remote(recipe.engine):
        load_bundle(recipe.engine)  # now, and not at the first upload
    from rtpolyp.tryout.app import Limits, tryout_app  # heavy: imported only where it is wanted
    from rtpolyp.tryout.jobs import Jobs
    from rtpolyp.web.guard import Guard

    listening, listener = listen(Address.parse(address, "listen"), "listen")
    with listener:
        on_url(listening.described())
        limits = Limits()
        app = tryout_app(Jobs(recipe, most_seconds=limits.job_seconds), limits)
        run_server(Guard(app, listening), listener)
