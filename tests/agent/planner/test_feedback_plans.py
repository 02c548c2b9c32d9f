"""Promises of planning for what people think: labels go to kto, pairs to DPO, both at once to kto."""

from __future__ import annotations

import pytest

from agent.planner.candidates import Situation, propose
from agent.planner.choice import feasible, rules
from learners.records import Record
from monitors.job import Gap
from tests.thumbs import pair, thumb

LABELS = [thumb("a?", "yes", True), thumb("b?", "no", False)]
PAIRS = [pair("c?", "yes", "no"), pair("d?", "yes", "no")]


def planned(records: list[Record], *, replayable: int = 64, named: tuple[str, ...] = (), gaps: bool = True):
    gap = Gap(id="g1", topic="tone", information_kind="preference", severity=1.0, evidence=("p",), records=("r",))
    known = Situation(gaps=[gap] if gaps else [], records=records, tokens=1000, epochs={"cpt": 4, "cit": 3, "ca": 2},
                      replayable=replayable, tokens_left=None, tolerated_loss=0.10, named=named)  # fmt: skip
    return propose(known)


def test_unpaired_labels_are_planned_with_kto_and_with_nothing_else():
    found = planned(LABELS)
    assert [candidate.id for candidate in feasible(found)] == ["ca.kto"]
    refused = {candidate.id: candidate.refused for candidate in found}
    assert "2 of 2 records (feedback) would stay unlearned" in (refused["ca.dpo_replay"] or "")


def test_pairs_are_planned_with_dpo_and_rehearsal():
    found = planned(PAIRS)
    assert rules(found).candidate.id == "ca.dpo_replay"
    (kto,) = [candidate for candidate in found if candidate.id == "ca.kto"]
    assert kto.refused == "ca.dpo_replay is predicted to gain no less, to lose no more and to cost no more"


def test_pairs_without_a_memory_to_rehearse_from_go_to_kto_unless_copr_is_named():
    assert rules(planned(PAIRS, replayable=0)).candidate.id == "ca.kto"
    assert rules(planned(PAIRS, replayable=0, named=("copr", "kto", "dpo_replay"))).candidate.id == "ca.copr"


def test_pairs_beside_labels_are_learned_in_one_cycle_by_the_method_that_learns_both():
    assert [candidate.id for candidate in feasible(planned([*PAIRS, *LABELS]))] == ["ca.kto"]


@pytest.mark.parametrize("gaps", [True, False])
@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([thumb("a?", "no", False), thumb("b?", "no", False)], "all 2 judged answers are disapproved"),
        ([thumb("a?", "yes", True), thumb("a?", "no", False)], "all 2 judged answers are to one prompt"),
    ],
)
def test_labels_that_cannot_be_learned_ask_for_data_and_say_which(records: list[Record], why: str, *, gaps: bool):
    decision = rules(planned(records, gaps=gaps))
    assert decision.candidate.id == "ask_for_data"
    assert decision.reason.startswith(why)
