"""Promises of `cld methods`: a list that can be read at a glance, and every setting with its meaning."""

from __future__ import annotations

import pytest

from agent.cli import methods
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated


def test_a_setting_is_shown_with_its_default_and_its_meaning(operated: Operated, cld: Cld):
    said = cld("methods", "show", "l2").out
    line = next(line for line in said.splitlines() if "penalty_weight" in line)
    assert said.index("penalty_weight") < said.index("learning_rate")
    assert line.split()[:2] == ["penalty_weight", "1.0"] and "lambda; 0 is plain fine-tuning" in line


def test_programs_get_a_meaning_for_every_setting(operated: Operated, cld: Cld):
    found = cld("methods", "show", "d_cpt_law", "--json").json["method"]
    assert found["meanings"].keys() == found["settings"].keys()


def test_the_list_goes_stage_by_stage_in_the_order_of_the_survey(operated: Operated, cld: Cld):
    said = cld("methods", "list").out
    assert said.index("finetune") < said.index("o_lora") < said.index("copr") < said.index("grad_diff")


def test_the_name_of_a_paper_leads_to_the_methods_that_come_from_it(operated: Operated, cld: Cld):
    for word in ("llemma", "PLLaMa"):
        said = cld("methods", "show", word)
        assert said.code == 3 and "the word stands at 'domain_mix'" in said.err


@pytest.mark.parametrize(("paper", "cited"), [
    ("Hu et al. 2022, LoRA: Low-Rank Adaptation (arXiv:2106.09685)", "Hu et al. 2022 arXiv:2106.09685"),
    ("Zhang et al. 2024, CPPO (ICLR 2024)", "Zhang et al. 2024"),
    ("a report", "a report"),
])  # fmt: skip
def test_a_paper_iscited_in_short(paper: str, cited: str):
    assert methods.cited(paper) == cited
