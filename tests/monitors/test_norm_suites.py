"""The suites of norms that come with cld: large enough, varied, apart from near misses and from what is taught."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from learners.records import Record, record_id
from monitors.contamination import contaminated
from monitors.embedding import embed
from monitors.intake.shapes import as_content
from monitors.job import ContaminationPolicy
from monitors.metrics.norms import NEAR_MISS
from monitors.probes.scorers import Choice
from monitors.probes.suites import load_suite, shipped_suites

NAMES = [name for name in shipped_suites() if name.startswith("norm-")]
EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples" / "values").glob("*.jsonl"))


def preferences(path: Path) -> list[Record]:
    """The example preferences of a file, as intake makes them."""
    shaped = [as_content(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Record(id=record_id(kind, content), source="inbox", kind=kind, content=content, origin=path.name)
        for kind, content in shaped
    ]


def test_four_norms_are_shipped_and_one_of_them_with_its_revision():
    assert len({name.removesuffix("-v1").removesuffix("-v2") for name in NAMES}) == 4
    assert {"norm-inclusive-naming-v1", "norm-inclusive-naming-v2"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_norm_has_thirty_items_and_ten_near_misses_all_different(name: str):
    items = load_suite(shipped_suites()[name]).items
    near = [item for item in items if item.slice == NEAR_MISS]
    assert len(items) - len(near) >= 30 and len(near) >= 10
    assert len({str(item.prompt) for item in items}) == len(items)


@pytest.mark.parametrize("name", NAMES)
def test_most_items_are_forced_choices_and_some_are_written_freely(name: str):
    items = load_suite(shipped_suites()[name]).items
    free = [item for item in items if not isinstance(item, Choice)]
    assert {item.slice for item in free} == {"free"} and 4 <= len(free) <= len(items) / 4


@pytest.mark.parametrize("name", NAMES)
def test_the_place_of_the_right_answer_gives_nothing_away(name: str):
    places = [item.answer for item in load_suite(shipped_suites()[name]).items if isinstance(item, Choice)]
    assert max(places.count(place) for place in set(places)) <= 0.7 * len(places)


def test_the_revision_asks_the_same_and_wants_the_other_answer():
    """So the residual is no mirror of the adoption: the former word is wrong for both."""
    old, new = (load_suite(shipped_suites()[f"norm-inclusive-naming-{version}"]) for version in ("v1", "v2"))
    pairs = [
        (a, b) for a, b in zip(old.items, new.items, strict=True) if isinstance(a, Choice) and isinstance(b, Choice)
    ]
    revised = [(a, b) for a, b in pairs if a.slice != NEAR_MISS]
    assert all(a.prompt == b.prompt and len(a.choices) == 3 for a, b in revised) and len(revised) >= 30
    assert all(set(a.choices) == set(b.choices) and a.choices[a.answer] != b.choices[b.answer] for a, b in revised)
    assert all(a.choices[a.answer] == b.choices[b.answer] for a, b in pairs if a.slice == NEAR_MISS)


@pytest.mark.slow
def test_the_example_preferences_give_no_item_away_and_a_planted_one_is_found():
    suites = [load_suite(shipped_suites()[name]) for name in NAMES]
    taught = [record for path in EXAMPLES for record in preferences(path)]
    assert len(taught) > 100
    assert contaminated(suites, taught, ContaminationPolicy(), embed) == ()
    item = next(item for item in suites[0].items if len(item.text.split()) >= 8)
    leak = Record(id="leak", source="inbox", kind="text", content={"text": item.text}, origin="x")
    assert [one.probe for one in contaminated(suites, [*taught, leak], ContaminationPolicy(), embed)] == [item.id]
