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
        planned_on="One cycle of the demo on SmolLM2-135M-Instruct, in no comparison with other methods: refusals of "
        "84 harmful requests rose from 0.00 to 0.71, the general suite stayed at 0.70, and 6 of 64 harmless requests "
        "more were refused. It is the plainest method for pairs that rehearses.",
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
        planned=True,
        planned_on="One cycle on SmolLM2-135M-Instruct with 21 judged answers, in no comparison with other methods: "
        "held-out answers rose from 0.37 to 0.43, and the instruction suite lost 2 of 14 items, which a gate cannot "
        "tell from noise. No other method here learns from judged answers without a second one to compare with.",
        kinds=("preference", "feedback"),
    ),
    "ppo": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=30.0,
        serving_form="adapter",
        paper="Schulman et al. 2017, Proximal Policy Optimization Algorithms (arXiv:1707.06347)",
        differs="Answers to one prompt are each other's baseline (GRPO, Shao et al. 2024, arXiv:2402.03300), or with "
        "advantage = critic a value head is, whose error does not move the policy; verifiable rules instead of a "
        "reward model; the divergence from the parent version is a loss term instead of a part of the reward.",
        module="learners.methods.ppo",
        kinds=("instruction", "preference", "feedback"),
        experimental="On the tiny model the reward rises from 0.52 to 0.95 in 40 steps while the divergence from the "
        "parent averages 0.81 nats a token and ends at 1.16; a greater beta that kept it below 1 stopped the rise. "
        "With a critic it ends at 1.00 and 1.58 nats.",
    ),
    "copr": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.3,
        relative_cost=5.0,
        serving_form="adapter",
        paper="Zhang et al. 2024, COPR: Continual Human Preference Learning via Optimal Policy Regularization "
        "(arXiv:2402.14228)",
        differs="Pairs only (J = 2), with log-probabilities averaged over tokens as in the authors' code, or summed as "
        "in the equations; no likelihood term and no value head; what each constraint allows is a fixed misfit, as in "
        "the authors' code, and its multiplier is bounded; adds rehearsal of what else is remembered.",
        module="learners.methods.copr",
    ),
    "copf": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.4,
        relative_cost=5.0,
        serving_form="adapter",
        paper="Zhang et al. 2023, COPF: Continual Learning Human Preference through Optimal Policy Fitting "
        "(arXiv:2310.15694v1)",
        differs="Pairs only (J = 2), with COPR's moderate reward; adds rehearsal of what else is remembered.",
        module="learners.methods.copf",
    ),
    "value_revision": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data", "norms"),
        relative_forgetting=0.3,
        relative_cost=5.0,
        serving_form="adapter",
        paper="Puthumanaillam et al. 2024, A Moral Imperative: The Need for Continual Superalignment of Large Language "
        "Models (arXiv:2403.14683)",
        differs="The paper states the need and gives no algorithm; this is DPO and likelihood of the wanted answers, "
        "with rehearsal of the pairs that still hold, against the references they were learned with.",
        module="learners.methods.value_revision",
        planned=True,
        planned_on="One lineage on SmolLM2-135M-Instruct: a list of terms was followed in 0.48 of its probes, before "
        "in 0.08, a second list in its place in 0.70 with 0.10 left of the first, 0.08 of the near misses changed, "
        "and general questions fell from 0.74 to 0.67. And one order of five preference tasks, where it ended highest "
        "and lost nothing by the revision. No other method knows what a change of a norm is, and each of its plans "
        "waits for a person.",
    ),
    "cppo": MethodInfo(
        stages=("ca",),
        information_kinds=("value", "preference"),
        needs=("data",),
        relative_forgetting=0.4,
        relative_cost=30.0,
        serving_form="adapter",
        paper="Zhang et al. 2024, CPPO: Continual Learning for Reinforcement Learning with Human Feedback (ICLR 2024)",
        differs="On GRPO or with a critic (see ppo), with the divergence kept; weights from the table of the authors' "
        "code, mode 'balance', instead of learned ones.",
        module="learners.methods.cppo",
        kinds=("instruction", "preference", "feedback"),
        experimental="On the tiny model, after a second task that contradicts the first, the first one's reward fell "
        "from 0.98 to 0.58 and 0.59 (two seeds) instead of 0.50 and 0.52 with ppo, while the second one's reached 0.94 "
        "and 0.97 instead of 0.98. Held harder it fell to 0.79 and 0.84, but the second one stopped at 0.54 and 0.62; "
        "a greater beta of ppo trades the one for the other as well.",
    ),
}
