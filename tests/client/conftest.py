"""A hub that answers what a test tells it to."""

from collections.abc import Iterator

import pytest
from support.scripted_hub import ScriptedHub


@pytest.fixture
def scripted() -> Iterator[ScriptedHub]:
    hub = ScriptedHub()
    yield hub
    hub.close()
