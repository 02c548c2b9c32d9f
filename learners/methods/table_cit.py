"""The table of methods filed under continual instruction tuning; `finetune` and `replay` stand in that of cpt."""

from __future__ import annotations

from learners.methods.info import MethodInfo

__all__ = ["CIT"]

CIT: dict[str, MethodInfo] = {
    "o_lora": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.7,
        relative_cost=1.1,
        serving_form="adapter",
        paper="Wang et al. 2023, Orthogonal Subspace Learning for Language Model Continual Learning (arXiv:2310.14152)",
        differs="Adapters on all linear layers instead of queries and values, without dropout and without the norm on "
        "new factors; the stack is saved as one adapter, and a parent's adapter of any origin is its first part.",
        module="learners.methods.o_lora",
    ),
    "osf": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.3,
        relative_cost=2.0,
        serving_form="weights",
        paper="Nayak et al. 2025, Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning "
        "(arXiv:2504.07097)",
        differs="One share of kept directions for all matrices instead of one per layer; besides gradients the factors "
        "themselves are projected after every step, because Adam leaves the subspace.",
        module="learners.methods.osf",
    ),
    "average": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=1.3,
        serving_form="adapter",
        paper="Lin et al. 2023, Speciality vs Generality (arXiv:2309.06256)",
        differs="Shares of blocks are found on what was learned, not on samples of the tuned model; an average of "
        "adapters is cut back to their rank by singular values.",
        module="learners.methods.average",
    ),
    "safety_mix": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.9,
        relative_cost=1.1,
        serving_form="adapter",
        paper="Qi et al. 2023, Fine-tuning Aligned Language Models Compromises Safety (arXiv:2310.03693)",
        differs="A share of every batch instead of a number of examples; those of earlier alignment stages are taken "
        "out of the replay memory.",
        module="learners.methods.safety_mix",
    ),
    "llama_pro": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=1.5,
        serving_form="weights",
        paper="Wu et al. 2024, LLaMA Pro: Progressive LLaMA with Block Expansion (arXiv:2401.02415)",
        differs="Groups need not divide the number of layers; every stage inserts its own blocks.",
        module="learners.methods.llama_pro",
    ),
    "inscl": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=2.0,
        serving_form="adapter",
        paper="Wang et al. 2024, InsCL: A Data-efficient Continual Learning Paradigm (arXiv:2403.11435)",
        differs="An instruction's information is counted over its words instead of intents that another model names; "
        "at most 48 instructions of a task are compared, and rehearsal cannot outgrow the replay memory.",
        module="learners.methods.inscl",
    ),
    "dmt": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=1.1,
        serving_form="adapter",
        paper="Dong et al. 2023, How Abilities in Large Language Models are Affected by Supervised Fine-tuning Data "
        "Composition (arXiv:2310.05492)",
        differs="Both stages share one run and one course of the learning rate; special records of earlier versions "
        "are mixed in, too, and at least 64 rows, because an absolute number matters more than a share.",
        module="learners.methods.dmt",
    ),
    "tapt": MethodInfo(
        stages=("cit",),
        information_kinds=("domain", "task", "skill"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=3.0,
        serving_form="adapter",
        paper="Gururangan et al. 2020, Don't Stop Pretraining: Adapt Language Models to Domains and Tasks "
        "(arXiv:2004.10964)",
        differs="Neighbours by the rare words that texts share instead of a trained encoder; next tokens instead of "
        "masked ones; texts and answers share one run.",
        module="learners.methods.tapt",
    ),
}
