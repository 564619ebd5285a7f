"""The fields of a recipe as flags of the command line."""

from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from train.recipe import Recipe

__all__ = ["Overrides", "given"]

if TYPE_CHECKING:  # a type checker does not follow fields that are made

    class Overrides:
        """Every field of Recipe as an optional flag; what is not given keeps the value of --recipe."""
else:
    Overrides = make_dataclass(
        "Overrides",
        [
            (
                field.name,
                Annotated[
                    field.type | None,
                    Parameter(help=field.metadata["help"], consume_multiple=True, negative=""),
                ],
                None,
            )
            for field in fields(Recipe)
        ],
        frozen=True,
        namespace={"__module__": __name__},  # or cyclopts takes it for a built-in type
    )


def given(overrides: Overrides) -> dict[str, Any]:
    """The fields that the command line names, as `Recipe.changed` takes them."""
    return {name: value for name, value in vars(overrides).items() if value is not None}
