"""A root on which whole cycles can be played, worker by scripted worker."""

from __future__ import annotations

import pytest

from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import Play


@pytest.fixture
def play(operated: Operated) -> Play:
    """`v0` serves, four small suites of the operator's own judge, and every worker does well."""
    return Play(operated)
