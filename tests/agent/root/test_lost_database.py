"""A database that is gone is missed: no empty one takes its place while the versions of its history are there."""

from __future__ import annotations

import pytest

from agent.daemon import loop as daemon
from agent.root.founding import found
from agent.store import StoreMissing
from tests.agent.operating import Operated


@pytest.fixture
def lost(operated: Operated) -> Operated:
    """A root with a version and without its database."""
    operated.store.close()
    for file in operated.layout.root.glob("cld.db*"):
        file.unlink()
    return operated


def test_no_daemon_begins_a_new_history_over_versions_of_another(lost: Operated):
    with pytest.raises(StoreMissing, match="cld restore BACKUP"):
        daemon.run(lost.layout, lost.config)
    assert not lost.layout.database.exists()


def test_nor_does_init(lost: Operated):
    with pytest.raises(StoreMissing, match=r"move \S+versions"):
        found(lost.layout)
    assert not lost.layout.database.exists()


def test_without_versions_a_new_one_is_made(lost: Operated):
    lost.layout.version("v0").rename(lost.layout.root / "elsewhere")
    assert found(lost.layout) == ["database"]
    assert lost.layout.database.exists()
