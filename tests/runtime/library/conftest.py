from collections.abc import Iterator

import pytest

from rtpolyp.inference.stub import StubEngine
from rtpolyp.library.model import Model
from tests.runtime.red_disc import SPEC


@pytest.fixture
def model() -> Iterator[Model]:
    """A model that calls red pixels polyp, two at a time."""
    with Model(StubEngine(SPEC)) as model:
        yield model
