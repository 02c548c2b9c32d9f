"""Promises of `benchmarks.serving_forms`: every form is a version that serves, of the size that its tasks leave."""

import json

import pytest

from benchmarks.serving_forms import one_form
from benchmarks.serving_forms.forms import FORMS, build
from learners.versions import read_version

PARTS = {
    "merged": "weights", "adapter": "adapter", "stack": "adapter", "experts": "extension", "attention": "extension",
    "prompts": "extension",
}  # fmt: skip


def version(form, tasks, base):
    return build(form, tasks, base, base.parent / f"{form}-{tasks}")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_what_its_name_says_and_is_served(form, base, tmp_path):
    folder = version(form, 2, base)
    assert (read_version(folder).folder / PARTS[form]).is_dir()
    one_form.main(folder, tmp_path / "served.json")
    served = one_form.Served.model_validate_json((tmp_path / "served.json").read_bytes())
    assert served.seconds > 0 and served.resident_bytes > 2**26 and served.version_bytes > 2**10


def test_a_stack_and_a_pool_grow_with_the_tasks(base):
    ranks = [
        json.loads((version("stack", n, base) / "adapter" / "adapter_config.json").read_bytes())["r"] for n in (1, 3)
    ]
    assert ranks[1] == 3 * ranks[0]
    pool = json.loads((version("experts", 3, base) / "extension" / "extension.json").read_bytes())
    assert pool["slots"] == [1, 1, 1]
