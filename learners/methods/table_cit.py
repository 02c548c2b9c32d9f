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
        differs="Adapters on all linear layers instead of queries and values, without dropout; the norm of new factors "
        "is off by default; the stack is saved as one adapter, whose first part is a parent's adapter of any origin.",
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
        differs="One share of kept directions for all matrices instead of one per layer; factors are projected where "
        "they are used, besides their gradients, because Adam's steps leave the subspace.",
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
    "toolken": MethodInfo(
        stages=("cit",),
        information_kinds=("skill",),
        needs=("data",),
        relative_forgetting=0.0,
        relative_cost=1.0,
        serving_form="extension",
        paper="Hao et al. 2023, ToolkenGPT: Augmenting Frozen Language Models with Massive Tools via Tool Embeddings "
        "(arXiv:2305.11554)",
        differs="Rows start as the mean of the output rows of `CALL name`; a tool's arguments are written under its "
        "JSON schema, after its examples.",
        module="learners.methods.toolken",
    ),
    "tool_sft": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.7,
        relative_cost=1.3,
        serving_form="adapter",
        paper="Qin et al. 2023, ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs "
        "(arXiv:2307.16789)",
        differs="Each assistant turn is a row of its own; what finds the tools and examples to show is an embedder "
        "that was not trained for it, and the search with a way back (DFSDT) is the tool loop's.",
        module="learners.methods.tool_sft",
    ),
    "progressive_prompts": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.1,
        relative_cost=2.0,
        serving_form="extension",
        paper="Razdaibiedina et al. 2023, Progressive Prompts: Continual Learning for Language Models "
        "(arXiv:2301.12314)",
        differs="No task is named at inference: a request goes to the task whose mean query is nearest. Prompts are "
        "trained without the residual network of the paper, and all epochs instead of the best one are kept.",
        module="learners.methods.progressive_prompts",
    ),
    "instruction_speak": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=1.4,
        serving_form="adapter",
        paper="Yin et al. 2022, ConTinTin: Continual Learning from Task Instructions (arXiv:2203.08512)",
        differs="Examples of earlier tasks lie in the batches of the right ones with a smaller weight, instead of a "
        "pass of their own with a smaller learning rate; an example's prompt is the instruction without its examples.",
        module="learners.methods.instruction_speak",
    ),
    "rationale_cl": MethodInfo(
        stages=("cit",),
        information_kinds=("task",),
        needs=("data",),
        relative_forgetting=0.3,
        relative_cost=6.0,
        serving_form="adapter",
        paper="Xiong et al. 2023, Rationale-Enhanced Language Models are Better Continual Relation Learners "
        "(arXiv:2310.06547)",
        differs="Exemplars and look-alikes are found by the parent before the first step, on centred features, so both "
        "stages share one run; the teacher is the parent unless records bring rationales, and its reasons must end in "
        "the answer; decoding is not constrained to class names.",
        module="learners.methods.rationale_cl",
    ),
    "dyna_inst": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.4,
        relative_cost=1.5,
        serving_form="adapter",
        paper="Mok et al. 2023, Large-scale Lifelong Learning of In-context Instructions and How to Tackle It "
        "(ACL 2023)",
        differs="A reconstruction: loss and selection are not published in full; every earlier task is rehearsed "
        "instead of a choice of them.",
        module="learners.methods.dyna_inst",
        experimental="On two tasks of disjoint symbols, with two seeds, rehearsing the 20 instances at both ends left "
        "a loss of 0.10 and 0.20 nats on the earlier task, 20 drawn at random 0.02 and 0.02; the term at 0.01 changed "
        "nothing, and at 0.05 it made the ends as good as random ones and those no better.",
    ),
    "adapt_llm": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain"),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=2.5,
        serving_form="adapter",
        paper="Cheng et al. 2024, Adapting Large Language Models via Reading Comprehension (arXiv:2309.09530)",
        differs="General instructions are what the replay memory holds, at first the base model's own answers; domain "
        "terms are long words that the model's vocabulary splits; long texts are cut into pieces, not cut off.",
        module="learners.methods.adapt_llm",
    ),
    "rcl": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=3.5,
        serving_form="adapter",
        paper="Wang et al. 2023, TRACE: A Comprehensive Benchmark for Continual Learning in Large Language Models "
        "(arXiv:2310.06762), reasoning-augmented continual learning",
        differs="The teacher is the parent, without hand-made examples, unless records bring rationales; a record "
        "without one that ends in its answer is learned plainly instead of left out.",
        module="learners.methods.rcl",
    ),
    "adapt_retrieve_revise": MethodInfo(
        stages=("cit",),
        information_kinds=("domain", "task"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=2.0,
        serving_form="adapter",
        paper="Zhang et al. 2023, Reformulating Domain Adaptation of Large Language Models as Adapt-Retrieve-Revise "
        "(arXiv:2310.03328)",
        differs="Texts and answers share one run; retrieval and revision belong to the engine, not to the version, and "
        "the reviser is the version itself unless another model is named.",
        module="learners.methods.adapt_retrieve_revise",
    ),
    "sapt": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=1.1,
        serving_form="extension",
        paper="Zhao et al. 2024, SAPT: A Shared Attention Framework for Parameter-Efficient Continual Learning of "
        "Large Language Models (arXiv:2401.08295)",
        differs="Prompts of earlier versions are stored, as what the query network sees of them, instead of generated "
        "by a model trained for it; adapters on all linear layers instead of queries and values; the attention is four "
        "times as sharp. A key without an adapter leaves to the model below what is like its remembered prompts.",
        module="learners.methods.sapt",
    ),
    "slm": MethodInfo(
        stages=("cit",),
        information_kinds=("domain", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=1.1,
        serving_form="extension",
        paper="Peng et al. 2024, Scalable Language Model with Generalized Continual Learning (arXiv:2404.07470)",
        differs="The largest embeddings of a prompt are its query instead of a sentence encoder's vector; every "
        "request has slots of its own, on all linear layers, and negative likenesses count as 0. Keys without a slot "
        "leave to the model below what is like its remembered prompts.",
        module="learners.methods.slm",
    ),
    "elm": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.1,
        relative_cost=1.1,
        serving_form="extension",
        paper="Jang et al. 2023, Exploring the Benefits of Training Expert Language Models over Instruction Tuning "
        "(arXiv:2302.03202)",
        differs="Each request finds its expert by its own nearest examples, instead of 32 requests by a vote, with the "
        "frozen model's own states as embeddings; what is nearest to the replay memory of no expert is left to the "
        "model below; LoRA experts; texts make experts too, and are stored whole.",
        module="learners.methods.elm",
    ),
    "conpet": MethodInfo(
        stages=("cit",),
        information_kinds=("task", "skill"),
        needs=("data", "memory"),
        relative_forgetting=0.1,
        relative_cost=2.0,
        serving_form="adapter",
        paper="Song et al. 2023, ConPET: Continual Parameter-Efficient Tuning for Large Language Models "
        "(arXiv:2309.14763)",
        differs="A model that generates has no heads for classes; the dynamic mode's selector is linear on the frozen "
        "model's states, without an adapter of its own.",
        module="learners.methods.conpet",
        planned=True,
    ),
    "plug_lm": MethodInfo(
        stages=("cit", "cpt"),
        information_kinds=("fact", "domain"),
        needs=("data",),
        relative_forgetting=0.6,
        relative_cost=1.3,
        serving_form="extension",
        paper="Cheng et al. 2023, Decouple Knowledge from Parameters for Plug-and-play Language Modeling "
        "(arXiv:2305.11564)",
        differs="The paper pre-trains an encoder with its memory; here readers learn beside a frozen decoder, every "
        "token asks for itself, and keys are lengths of one instead of batch-normalised.",
        module="learners.methods.plug_lm",
        experimental="On a small model that learns a second random language loss fell from 4.65 to 3.24 nats, and only "
        "0.14 of that was lost with passages of a third language in the memory: the readers learn, and read little. "
        "Passages of the third language plugged in without a step, which is what the paper gains by, left its loss at "
        "4.26 instead of 4.25 with those of the second.",
    ),
}
