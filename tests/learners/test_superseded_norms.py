"""A norm that ended under another name is rehearsed no more once its heir is learned."""

import pytest

from learners import training
from learners.job import TrainSpec
from tests.learners.runs import job_at, preference, record, spec, train
from tests.learners.test_alignment_methods import SHORT
from tests.tiny import KNOWN

ASKED = list(KNOWN)


def named(norm, change, chosen, rejected, questions):
    content = {"norm": norm, "change": change}
    pairs = [preference(question, chosen, rejected) for question in questions]
    return [record("preference", pair.content | content) for pair in pairs]


OLD = named("polite", "add", "Red", "Two", ASKED[:3])
OTHER = named("brief", "add", "Four", "Cat", ASKED[3:6])
NEW = named("warm", "add", "Two", "Cat", ASKED[6:9])


@pytest.fixture(scope="module")
def taught(base, tmp_path_factory):
    """A version that remembers the preferences of two norms."""
    return train(tmp_path_factory.mktemp("jobs") / "taught", base, "ca", "value_revision", OLD + OTHER, **SHORT)[1]


def material(folder, parent, **settings):
    order = TrainSpec.model_validate(spec(folder, parent, "ca", "value_revision", NEW, version="v2", **settings))
    return training.prepared(order, job_at(folder))


def test_an_heir_forgets_its_forerunner_and_rehearses_the_others(taught, tmp_path):
    found = material(tmp_path / "job", taught, superseded={"warm": ["polite"]})
    assert found.forgotten == {one.id for one in OLD}
    assert len(found.rows) == len(NEW) + len(OTHER)


def test_without_the_registrys_word_an_addition_supersedes_nothing(taught, tmp_path):
    found = material(tmp_path / "job", taught)
    assert found.forgotten == frozenset() and len(found.rows) == len(NEW) + len(OLD) + len(OTHER)


def test_what_other_norms_superseded_is_none_of_this_ones_business(taught, tmp_path):
    assert material(tmp_path / "job", taught, superseded={"loud": ["polite"]}).forgotten == frozenset()
