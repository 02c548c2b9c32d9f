"""The table of methods of continual alignment."""

from __future__ import annotations

from learners.methods.info import MethodInfo

__all__ = ["CA"]

CA: dict[str, MethodInfo] = {
    "dpo": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=2.5,
        serving_form="adapter",
        paper="Rafailov et al. 2023, Direct Preference Optimization (arXiv:2305.18290)",
        differs="The reference policy is the parent version, and its log-probabilities are computed once; AdamW with "
        "the project's schedule instead of RMSprop.",
        module="learners.methods.dpo",
    ),
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
    "kto": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=5.0,
        serving_form="adapter",
        paper="Ethayarajh et al. 2024, KTO: Model Alignment as Prospect Theoretic Optimization (arXiv:2402.01306)",
        differs="The reference policy is the parent version; each answer has one foreign answer for the estimate of "
        "the divergence in the whole run, instead of a new one in each batch; adds rehearsal of the replay memory.",
        module="learners.methods.kto",
    ),
    "ppo": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=30.0,
        serving_form="adapter",
        paper="Schulman et al. 2017, Proximal Policy Optimization Algorithms (arXiv:1707.06347)",
        differs="No value network: answers to one prompt are each other's baseline (GRPO, Shao et al. 2024, "
        "arXiv:2402.03300); verifiable rules instead of a reward model; the divergence from the parent version is a "
        "loss term instead of a part of the reward.",
        module="learners.methods.ppo",
        experimental="On the tiny model the reward rises from 0.52 to 0.95 in 40 steps while the divergence from the "
        "parent averages 0.81 nats a token and ends at 1.16; a greater beta that kept it below 1 stopped the rise.",
    ),
}
