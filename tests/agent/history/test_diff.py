"""Two versions compared: what was learned on the way, and what it did to every suite and probe."""

from __future__ import annotations

import json

import pytest
from history_world import measure

from agent.errors import NotFound
from agent.history.diff import ItemChange, diff
from agent.store import Store


def test_a_diff_tells_what_was_learned_on_the_way(store: Store) -> None:
    with store.read() as tx:
        found = diff(tx, "v0", "v2")
    told = [(step.version, step.stage, step.method, step.sources, step.verdict) for step in found.learned]
    assert told == [
        ("v2", "cit", "ewc", {"tickets": 1}, "hold"),
        ("v1", "cpt", "replay", {"handbook": 1}, "promote"),
    ]
    assert found.related
    assert found.learned[0].reason == "the best value"


def test_a_diff_pairs_scores_item_by_item(store: Store) -> None:
    with store.write() as tx:
        measure(tx, "v1", {"p1": 1.0, "p2": 1.0, "p3": 0.0, "only-old": 1.0})
        measure(tx, "v2", {"p1": 0.0, "p2": 1.0, "p3": 1.0, "only-new": 0.0})
        found = diff(tx, "v1", "v2")
    (suite,) = found.suites
    assert (suite.suite, suite.items, suite.before, suite.after, suite.delta) == ("general", 3, 2 / 3, 2 / 3, 0.0)
    assert [item.probe for item in found.items] == ["p1", "p3"]
    assert found.items[0] == ItemChange("general", "p1", "arithmetic", 1.0, 0.0, "v1 says", "v2 says")


def test_a_diff_names_the_settings_that_differ(store: Store) -> None:
    with store.read() as tx:
        assert diff(tx, "v1", "v2").settings == {"learning_rate": (0.001, 0.002)}
        assert diff(tx, "v1", "v1").settings == {}


def test_versions_of_different_lines_are_not_called_related(store: Store) -> None:
    with store.read() as tx:
        assert not diff(tx, "v3", "v2").related
        assert diff(tx, "v2", "v3").related


def test_a_diff_is_plain_json(store: Store) -> None:
    with store.read() as tx:
        assert json.loads(json.dumps(diff(tx, "v0", "v3").as_dict()))["before"]["id"] == "v0"


def test_an_unknown_version_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="v9"), store.read() as tx:
        diff(tx, "v0", "v9")
