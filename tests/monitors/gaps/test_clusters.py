"""Promises of gaps: what fails together about one thing is one gap, with its severity and its records."""

from __future__ import annotations

import numpy as np

from learners.records import Record, record_id
from monitors.gaps.clusters import Failure, find_gaps

WORDS = ("kettle", "mixer", "queue", "refund")


def embed(texts):
    """A direction per word, so that similarity is under the test's control."""
    vectors = np.array([[1.0 if word in text else 0.01 for word in WORDS] for text in texts], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def asked(probe, text, passed=False, record=None, kind="fact"):
    return Failure(probe, text, kind, record, passed)


def record(text):
    content = {"text": text, "title": None}
    return Record(id=record_id("text", content), source="inbox", kind="text", content=content)


def test_failures_about_two_things_are_two_gaps_named_by_their_words():
    gaps = find_gaps(
        [asked("p1", "the kettle holds"), asked("p2", "a kettle costs"), asked("p3", "the mixer")], [], embed
    )
    assert sorted(gap.topic.split()[0] for gap in gaps) == ["kettle", "mixer"]


def test_severity_is_the_share_of_its_probes_that_failed():
    (gap,) = find_gaps([asked("p1", "kettle a"), asked("p2", "kettle b", passed=True)], [], embed)
    assert (gap.severity, gap.evidence) == (0.5, ("p1",))


def test_a_gap_names_the_records_near_it_and_those_its_probes_were_made_from():
    kettle, mixer, far = record("the kettle"), record("the mixer"), record("a refund")
    (gap,) = find_gaps([asked("p1", "kettle", record=mixer.id)], [kettle, mixer, far], embed)
    assert set(gap.records) == {kettle.id, mixer.id}


def test_a_gap_without_records_says_so():
    (gap,) = find_gaps([asked("p1", "kettle")], [], embed)
    assert gap.records == ()


def test_nothing_failed_means_no_gap():
    assert find_gaps([asked("p1", "kettle", passed=True)], [record("the kettle")], embed) == ()


def test_information_kinds_are_not_mixed_and_the_most_severe_comes_first():
    probes = [asked("p1", "kettle", kind="task"), asked("p2", "kettle"), asked("p3", "kettle", passed=True)]
    gaps = find_gaps(probes, [], embed)
    assert [(gap.information_kind, gap.severity) for gap in gaps] == [("task", 1.0), ("fact", 0.5)]
