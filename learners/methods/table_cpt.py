"""The table of methods filed under continual pre-training; several train instructions as well."""

from __future__ import annotations

from learners.methods.info import MethodInfo

__all__ = ["CPT"]

CPT: dict[str, MethodInfo] = {
    "finetune": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Hu et al. 2022, LoRA: Low-Rank Adaptation of Large Language Models (arXiv:2106.09685)",
        differs="The parent's adapter is trained further instead of starting a new one, so a version has at most one.",
        module="learners.methods.finetune",
        planned=True,
    ),
    "replay": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=1.5,
        serving_form="adapter",
        paper="Chaudhry et al. 2019, On Tiny Episodic Memories in Continual Learning (arXiv:1902.10486)",
        differs="Rehearses records of all stages at once, beginning with the base model's own answers (Huang et al. "
        "2024, arXiv:2403.01244); the memory is updated after a stage, not after each batch.",
        module="learners.methods.replay",
        planned=True,
    ),
    "ewc": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "task"),
        needs=("data", "memory"),
        relative_forgetting=0.7,
        relative_cost=1.3,
        serving_form="adapter",
        paper="Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks (arXiv:1612.00796)",
        differs="Anchors the LoRA factors A and B separately, with an online (Schwarz et al. 2018), empirical Fisher "
        "of mean 1, at first of the replay memory, as the old data is not at hand.",
        module="learners.methods.ewc",
        planned=True,
    ),
    "l2": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "task"),
        needs=("data",),
        relative_forgetting=0.7,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Li et al. 2018, Explicit Inductive Bias for Transfer Learning with CNNs (arXiv:1802.01483)",
        differs="Anchors the LoRA factors A and B separately.",
        module="learners.methods.l2",
    ),
    "recadam": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "task"),
        needs=("data",),
        relative_forgetting=0.9,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Chen et al. 2020, Recall and Learn (arXiv:2004.12651)",
        differs="The midpoint and steepness of the anneal are shares of the run, and the pull is cut where it would "
        "overshoot the parent.",
        module="learners.methods.recadam",
    ),
    "mix_review": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=3.5,
        serving_form="adapter",
        paper="He et al. 2021, Analyzing the Forgetting Problem in Pretrain-Finetuning of Dialogue Models "
        "(arXiv:1910.07117)",
        differs="Reviews the replay memory in place of the pre-training corpus, which is not at hand.",
        module="learners.methods.mix_review",
    ),
    "rewarm_replay": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data", "memory"),
        relative_forgetting=0.3,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Ibrahim et al. 2024, Simple and Scalable Strategies to Continually Pre-train LLMs (arXiv:2403.08763)",
        differs="Rehearses the replay memory, which is a sample, in shuffled order.",
        module="learners.methods.rewarm_replay",
    ),
    "infinite_lr": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data",),
        relative_forgetting=0.9,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Ibrahim et al. 2024, Simple and Scalable Strategies to Continually Pre-train LLMs (arXiv:2403.08763)",
        differs="Phases are shares of each run; optimizer states start empty in every stage. The forms of the curves "
        "(cosine down, exponential anneal) are our reading.",
        module="learners.methods.infinite_lr",
    ),
    "distill": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain", "language", "task", "skill"),
        needs=("data",),
        relative_forgetting=0.4,
        relative_cost=2.5,
        serving_form="adapter",
        paper="Jin et al. 2022, Lifelong Pretraining: Continually Adapting Language Models to Emerging Corpora "
        "(arXiv:2110.08534)",
        differs="A decoder: logits of next tokens instead of masked ones, and mean-pooled states; the relational "
        "distance compares clean rows, not two noisy views. Weights and temperatures are ours. Of Castellucci et al. "
        "2021 it has the idea alone (a teacher of earlier languages), with this loss for theirs.",
        module="learners.methods.distill",
    ),
    "das": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data",),
        relative_forgetting=0.8,
        relative_cost=1.3,
        serving_form="weights",
        paper="Ke et al. 2023, Continual Pre-training of Language Models (arXiv:2302.03241)",
        differs="A decoder; noise is injected for the general importance and the contrastive views, updates are scaled "
        "instead of gradients (which Adam undoes), and rows of q, k and v follow their head. The contrastive loss is "
        "off by default: on the tiny model it kept no more (0.55 against 0.52 nats) and learned less (3.96, not 3.71).",
        module="learners.methods.das",
    ),
    "generative_replay": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data",),
        relative_forgetting=0.4,
        relative_cost=1.4,
        serving_form="adapter",
        paper="Shin et al. 2017, Continual Learning with Deep Generative Replay (arXiv:1705.08690)",
        differs="Generator and solver are one language model, as in LAMOL (Sun et al. 2020, arXiv:1909.03329), without "
        "its task tokens. The pool is drawn once and learned with weight 1; texts less or more likely than those "
        "of the lineage's first generation are refused, and after three generations so is the method.",
        module="learners.methods.generative_replay",
    ),
    "ets_dacp": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain",),
        needs=("data",),
        relative_forgetting=1.1,
        relative_cost=0.6,
        serving_form="adapter",
        paper="Xie et al. 2023, Efficient Continual Pre-training for Building Domain Specific Large Language Models "
        "(arXiv:2311.08545)",
        differs="Embeds with the parent itself, centred; diversity is the entropy of tokens, not of parts of speech; "
        "keeps half, not a tenth, of what is a small selection already. Scores are combined by mean rank, our reading.",
        module="learners.methods.ets_dacp",
    ),
    "eta_dacp": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain",),
        needs=("data",),
        relative_forgetting=1.1,
        relative_cost=0.6,
        serving_form="adapter",
        paper="Xie et al. 2023, Efficient Continual Pre-training for Building Domain Specific Large Language Models "
        "(arXiv:2311.08545)",
        differs="Novelty is the parent's own loss instead of a surrogate's; diversity is the entropy of tokens, not of "
        "parts of speech; keeps half, not a tenth. Scores are combined by mean rank, our reading.",
        module="learners.methods.eta_dacp",
    ),
    "diff": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact",),
        needs=("data", "parent"),
        relative_forgetting=1.0,
        relative_cost=0.5,
        serving_form="adapter",
        paper="Jang et al. 2022, TemporalWiki (arXiv:2204.14211)",
        differs="A real longest common subsequence over lines and sentences; the old snapshot is what this lineage "
        "learned, kept in the method memory.",
        module="learners.methods.diff",
    ),
    "ernie_cmtl": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data", "memory"),
        relative_forgetting=0.4,
        relative_cost=1.3,
        serving_form="adapter",
        paper="Sun et al. 2020, ERNIE 2.0: A Continual Pre-training Framework (arXiv:1907.12412)",
        differs="A decoder: a task is a corpus learned with the language-model loss, without task heads and task "
        "embeddings. Unless a stage_matrix is given, all earlier tasks have one share of the steps; they are replayed "
        "from the replay memory, a sample.",
        module="learners.methods.ernie_cmtl",
    ),
    "ecom_pack": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Ma et al. 2023, EcomGPT-CT: Continual Pre-training of E-commerce LLMs with Semi-structured Data "
        "(arXiv:2312.15696)",
        differs="Links are equal field values and shared identifiers; a walk takes linked records whatever their type. "
        "The paper's mixing ratios were not at hand: general text is `replay_share`, none by default.",
        module="learners.methods.ecom_pack",
    ),
    "piggyback": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("domain", "task"),
        needs=("data",),
        relative_forgetting=0.9,
        relative_cost=1.1,
        serving_form="weights",
        paper="Mallya et al. 2018, Piggyback: Adapting a Single Network by Learning to Mask Weights (arXiv:1801.06519)",
        differs="Masks the linear layers of the blocks only, and a version starts from its parent's mask instead of "
        "from all ones.",
        module="learners.methods.piggyback",
    ),
    "copal": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain",),
        needs=("data",),
        relative_forgetting=0.5,
        relative_cost=0.3,
        serving_form="weights",
        paper="Malla et al. 2024, COPAL: Continual Pruning in Large Language Generative Models (arXiv:2405.02347)",
        differs="The sensitivity is our reading of the paper, |W * (W X X^T)| with inputs through the pruned blocks "
        "before; `importance` = `norm` takes its cheap relative |W| ||x||, which no order of the data sets changes.",
        module="learners.methods.copal",
    ),
    "k_adapter": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("fact", "domain"),
        needs=("data",),
        relative_forgetting=0.3,
        relative_cost=1.0,
        serving_form="extension",
        paper="Wang et al. 2021, K-Adapter: Infusing Knowledge into Pre-Trained Models with Adapters "
        "(arXiv:2002.01808)",
        differs="Blocks without attention, so that key-value caches stay valid, and an output matrix that starts at 0 "
        "instead of a factor of 0.1, so that an untrained adapter changes nothing.",
        module="learners.methods.k_adapter",
    ),
    "prompt_pool": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain", "task"),
        needs=("data",),
        relative_forgetting=0.2,
        relative_cost=2.2,
        serving_form="extension",
        paper="Yadav et al. 2023, Exploring Continual Learning for Code Generation Models (arXiv:2307.02435)",
        differs="A decoder; the query is the mean of the frozen model's last hidden states, and a task has 20 pairs "
        "instead of hundreds; the paper's sizes were not checked.",
        module="learners.methods.prompt_pool",
    ),
    "expand_vocabulary": MethodInfo(
        stages=("cpt",),
        information_kinds=("language", "domain"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=1.1,
        serving_form="weights",
        paper="Cossu et al. 2022, Continual Pre-Training Mitigates Forgetting in Language and Vision "
        "(arXiv:2205.09357)",
        differs="Of this study of encoders it has the growth of the vocabulary alone: frequent words that fall into "
        "many pieces, started as the mean of these pieces, and embeddings that learn alone first, are ours.",
        module="learners.methods.expand_vocabulary",
    ),
    "recycle": MethodInfo(
        stages=("cpt", "cit"),
        information_kinds=("domain", "task"),
        needs=("data", "parent"),
        relative_forgetting=0.7,
        relative_cost=1.9,
        serving_form="adapter",
        paper="Qin et al. 2023, Recyclable Tuning for Continual Pre-training (arXiv:2305.08702)",
        differs="A decoder: distils the answers at learned positions, and the hidden states (beta) not at all. A donor "
        "of full weights carries over its change of every weight, so it needs full_weights.",
        module="learners.methods.recycle",
    ),
    "domain_mix": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain",),
        needs=("data", "memory"),
        relative_forgetting=0.8,
        relative_cost=1.0,
        serving_form="adapter",
        paper="Azerbayev et al. 2023, Llemma: An Open Language Model for Mathematics (arXiv:2310.10631)",
        differs="The general slice is the replay memory. Short runs that choose the mixture are made where mixtures "
        "are named, of the model itself, and judged by texts of one source. With one source, and then `replay` on "
        "instructions, it is PLLaMa (Yang et al. 2024, arXiv:2401.01600).",
        module="learners.methods.domain_mix",
    ),
    "d_cpt_law": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain", "language"),
        needs=("data", "memory"),
        relative_forgetting=0.4,
        relative_cost=1.6,
        serving_form="adapter",
        paper="Que et al. 2024, D-CPT Law: Domain-specific Continual Pre-Training Scaling Law (arXiv:2406.01375)",
        differs="One model size, so the law has seven parameters and the paper's usage 3, which chooses a size, has no "
        "place; pilots are a dozen steps of the model itself.",
        module="learners.methods.d_cpt_law",
    ),
    "cem": MethodInfo(
        stages=("cpt",),
        information_kinds=("fact", "domain"),
        needs=("data", "memory"),
        relative_forgetting=0.5,
        relative_cost=1.5,
        serving_form="adapter",
        paper="Zhao et al. 2024, Continue Evolving from Mistakes (arXiv:2404.08707)",
        differs="Retrieves from the selection by shared words instead of searching the web; the instruction templates "
        "and ratios are our own; ambiguous answers are those that hardly lead (least_lead), where that is set. One "
        "round a version: rounds are the daemon's.",
        module="learners.methods.cem",
    ),
    "cert": MethodInfo(
        stages=("cpt",),
        information_kinds=("domain", "skill"),
        needs=("data",),
        relative_forgetting=1.0,
        relative_cost=1.8,
        serving_form="adapter",
        paper="Zan et al. 2022, CERT: Continual Pre-Training on Sketches for Library-Oriented Code Generation "
        "(arXiv:2206.06888)",
        differs="Each role is a version of its own over one base; a generator that names its sketcher is served with "
        "it in two greedy steps, where the paper samples many.",
        module="learners.methods.cert",
    ),
}
