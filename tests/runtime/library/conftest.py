from collections.abc import Iterator

import pytest

from rtpolyp.library.model import Model
from tests.runtime.red_disc import SPEC
from tests.runtime.stub_engine import StubEngine


@pytest.fixture
def model() -> Iterator[Model]:
    """A model that calls red pixels polyp, two at a time."""
    with Model(StubEngine(SPEC)) as model:
        yield model
