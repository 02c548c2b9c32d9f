"""What a method remembers of units and weights is left alone where another method changed the layers since."""

import pytest
import torch

from learners.parts import keep, units
from learners.parts.gates import gated
from tests.learners.runs import TEXTS, train


def test_importances_of_units_that_the_model_does_not_have_are_none(model, tmp_path):
    with gated(model) as gates:
        units.write(tmp_path, gates)
    assert units.read(tmp_path, model).keys() == gates.keys()
    units.write(tmp_path, {**gates, "99.heads": torch.ones(4)})
    assert units.read(tmp_path, model) is None


@pytest.mark.slow
@pytest.mark.parametrize(("method", "kept"), [("das", "units"), ("copal", "importance")])
def test_a_lineage_that_grew_deeper_is_measured_anew(base, tmp_path, method, kept):
    options = {"epochs": 1, "batch_size": 4, "full_weights": True}
    first = train(tmp_path / "first", base, "cpt", method, TEXTS, **options)[1]
    deeper = train(tmp_path / "deeper", first, "cpt", "llama_pro", TEXTS, version="v2", groups=2, **options)[1]
    last = train(tmp_path / "last", deeper, "cpt", method, TEXTS, version="v3", **options)[1]
    before, after = (keep.read(version / "memory", kept) for version in (first, last))
    assert before.keys() < after.keys()
