"""The table of methods of forgetting, which only a request names: the planner proposes none of them."""

from __future__ import annotations

from learners.methods.info import MethodInfo

__all__ = ["FORGET"]

FORGET: dict[str, MethodInfo] = {
    "eul": MethodInfo(
        stages=("forget",),
        information_kinds=(),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=6.0,
        serving_form="extension",
        paper="Chen and Yang 2023, Unlearn What You Want to Forget: Efficient Unlearning for LLMs (arXiv:2310.20150)",
        differs="Terms that ascend end at the likelihood of what was never trained, and the one of likelihood is off "
        "unless told; the layers of several deletions stand side by side, one adapter of their summed width; `fuse` "
        "makes one of them by the paper's least squares, with shrunk moments, which a version then keeps.",
        module="learners.methods.eul",
    ),
    "npo": MethodInfo(
        stages=("forget",),
        information_kinds=(),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=4.0,
        serving_form="adapter",
        paper="Zhang et al. 2024, Negative Preference Optimization: From Catastrophic Collapse to Effective Unlearning "
        "(arXiv:2404.05868)",
        differs="Ends at the likelihood of what was never trained, token by token; always with the likelihood of what "
        "is kept (NPO+RT).",
        module="learners.methods.npo",
    ),
    "grad_diff": MethodInfo(
        stages=("forget",),
        information_kinds=(),
        needs=("data", "memory"),
        relative_forgetting=0.4,
        relative_cost=4.0,
        serving_form="adapter",
        paper="Liu et al. 2022, Continual Learning and Private Unlearning (arXiv:2203.12817)",
        differs="The ascent ends at the likelihood of what was never trained, token by token.",
        module="learners.methods.grad_diff",
    ),
    "simnpo": MethodInfo(
        stages=("forget",),
        information_kinds=(),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=4.0,
        serving_form="adapter",
        paper="Fan et al. 2024, Simplicity Prevails: Rethinking Negative Preference Optimization for LLM Unlearning "
        "(arXiv:2410.07163)",
        differs="Ends at the likelihood of what was never trained, token by token.",
        module="learners.methods.simnpo",
        experimental="On the tiny model forgotten codes are said no more and all others still are, but they stay "
        "exposed: 7.25 of 8 bits instead of the 1.69 of never-trained ones, for the loss ends at about one nat a "
        "token. With margin_nats = 2.5 it is 4.18.",
    ),
    "idk_dpo": MethodInfo(
        stages=("forget",),
        information_kinds=(),
        needs=("data", "memory"),
        relative_forgetting=0.5,
        relative_cost=6.0,
        serving_form="adapter",
        paper="Maini et al. 2024, TOFU: A Task of Fictitious Unlearning for LLMs (arXiv:2401.06121)",
        differs="The forgotten answer counts up to the likelihood of what was never trained; adds the likelihood of "
        "what is kept; takes records with an answer only.",
        module="learners.methods.idk_dpo",
        experimental="On the tiny model forgotten codes are said no more and all others still are, but they stay "
        "exposed: 7.0 of 8 bits instead of the 2.2 of never-trained ones. It hides what it does not forget.",
    ),
}
