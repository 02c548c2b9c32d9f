"""The table of methods of continual alignment."""

from __future__ import annotations

from learners.methods.info import MethodInfo

__all__ = ["CA"]

CA: dict[str, MethodInfo] = {
    "dpo_replay": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=3.0,
        serving_form="adapter",
        paper="Rafailov et al. 2023, Direct Preference Optimization (arXiv:2305.18290)",
        differs="The reference policy is the parent version; adds likelihood of the chosen answer and rehearsal of the "
        "replay memory, without which general ability is lost.",
        module="learners.methods.dpo_replay",
        planned=True,
    ),
}
