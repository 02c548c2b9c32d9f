"""What the methods of continual pre-training promise where languages contradict each other: forgetting at its worst.

The model speaks language "a" and learns "b" in 120 steps, all weights, at 3e-3. Measured, as a share of what plain
fine-tuning forgets (1.46 nats; it reaches 2.71 on "b", from 4.66): replay half and half of 256 remembered texts 0.17,
of 32 texts 0.85; rewarm_replay of a quarter 0.31, of a twentieth 0.75; distill 0.19, on the memory 0.13;
generative_replay of half as many texts 0.23, of a fifth 0.54; l2 0.33, ewc 0.71, recadam 0.93; mix_review 0.92, as it
learns 256 texts by heart. Bounds below are a third above.
"""

import json
from collections import Counter
from math import sqrt

import pytest
import torch
from scipy.stats import spearmanr

from learners.failures import InvalidInput
from learners.methods import settings_for
from learners.parts import shift
from learners.parts.mix import Order, by_task, weighted
from learners.parts.sketch import request_to_write
from monitors.engines import Prompt, in_order, open_engines
from monitors.job import EngineSettings, VersionRef
from monitors.metrics import recovery
from tests.chains import chain_base, speech
from tests.learners.runs import CHATS, TEXTS, correct, loss, tensors, text, train
from tests.tiny import UNKNOWN

RECIPE = {
    "learning_rate": 3e-3, "epochs": 2, "batch_size": 16, "full_weights": True, "max_length_tokens": 64,
    "checkpoint_steps": 1000,
}  # fmt: skip
LEARNED = speech("b", 960, seed=1)
KNOWN, NEW = speech("a", 48, seed=9), speech("b", 48, seed=9)


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """The model that speaks "a", with 256 texts of it in its replay memory; read-only."""
    return chain_base(tmp_path_factory.mktemp("chains"), remembered=256)


@pytest.fixture(scope="module")
def learned(chains, tmp_path_factory):
    """(method, settings) -> a version that learned "b"."""
    folder = tmp_path_factory.mktemp("jobs")

    def learn(method, parent=chains, records=LEARNED, **settings):
        job = folder / str(len(list(folder.iterdir())))
        return train(job, parent, "cpt", method, records, **{**RECIPE, **settings})[1]

    return learn


@pytest.fixture(scope="module")
def plain(learned):
    """Plain fine-tuning."""
    return learned("finetune")


def forgotten(version, chains):
    return loss(version, KNOWN) - loss(chains, KNOWN)


@pytest.mark.parametrize(("method", "settings", "kept", "given_up"), [
    ("replay", {"placement": "within", "replay_share": 0.5}, 0.22, 0.28),
    ("distill", {}, 0.26, 0.37),
    ("generative_replay", {"generated_share": 0.5, "generated_tokens": 50}, 0.30, 0.28),
], ids=["replay", "distill", "generative_replay"])  # fmt: skip
def test_what_contradicts_is_learned_and_most_of_what_was_known_is_kept(
    chains, plain, learned, method, settings, kept, given_up
):
    version = learned(method, **settings)
    assert forgotten(version, chains) <= kept * forgotten(plain, chains)
    assert loss(plain, NEW) - 0.02 <= loss(version, NEW) <= loss(plain, NEW) + given_up


def test_a_tiny_memory_is_learned_by_heart_and_keeps_little(chains, plain, learned, tmp_path):
    """Measured: 0.85 of the forgetting, and 0.50 nats on the 32 texts themselves where 4.00 are left on others."""
    version = learned("replay", chain_base(tmp_path, remembered=32), placement="within", replay_share=0.5)
    assert 0.6 <= forgotten(version, chains) / forgotten(plain, chains) <= 0.95
    assert loss(version, speech("a", 32, seed=7)) < 0.3 * loss(version, KNOWN)


def test_most_of_what_seems_forgotten_comes_back_in_twenty_steps(chains, plain, tmp_path):
    """Recovery@20 on 64 texts, after Cossu et al. 2022. Measured: 2.66, then 4.19, then 2.97 nats."""
    again = train(tmp_path / "again", plain, "cpt", "finetune", speech("a", 64, seed=3), **RECIPE | {"epochs": 5})[1]
    assert recovery(*(loss(one, KNOWN) for one in (chains, plain, again))) >= 0.7


def test_the_less_a_language_has_in_common_with_the_known_one_the_more_is_forgotten(chains, tmp_path):
    """Gogoulou et al. 2023. Measured: -1."""
    shares, losses = [], []
    for number, shared in enumerate((0.0, 0.3, 0.6, 0.9)):
        new = speech("b", 240, seed=1, shared=shared)
        version = train(tmp_path / str(number), chains, "cpt", "finetune", new, **RECIPE | {"epochs": 1})[1]
        pairs = ([str(record.content["text"]) for record in some] for some in (new, speech("a", 16, seed=7)))
        shares.append(shift.overlap(*pairs, words=2))
        losses.append(forgotten(version, chains))
    assert spearmanr(shares, losses).statistic <= -0.8


def test_an_overlap_counts_each_word_as_often_as_it_occurs_and_no_case_or_comma():
    assert shift.overlap(["The cow, the cow; a bee"], ["the COW sleeps"]) == pytest.approx(4 / 6)
    assert shift.overlap(["The cow, the cow; a bee"], ["the COW sleeps"], words=2) == pytest.approx(2 / 5)
    assert shift.overlap([], ["the cow"]) is shift.overlap(["the cow"], []) is None


def test_a_big_model_with_little_text_and_a_strong_shift_are_warned_of_and_nothing_else():
    assert "0.5 MB" in (shift.too_little(500_000, 7_000_000_000) or "")
    assert shift.too_little(500_000, 1_400_000_000) is shift.too_little(200_000_000, 7_000_000_000) is None
    assert "10%" in (shift.far_shift(0.1) or "")
    assert shift.far_shift(0.4) is shift.far_shift(None) is None


def test_a_penalty_without_limit_leaves_the_weights_where_they_were(chains, tmp_path):
    """Measured: 0.018 of mean drift without the penalty, 0.0005 with it."""
    drift = []
    for weight in (0.0, 1e9):
        options = RECIPE | {"epochs": 8, "fisher_rows": 16, "penalty_weight": weight}
        version = train(tmp_path / str(weight), chains, "cpt", "ewc", NEW, **options)[1]
        old, new = tensors(chains), tensors(version)
        moved = [(new[name] - old[name]).abs().flatten() for name in old]
        drift.append(float(torch.cat(moved).mean()))
    assert drift[1] < 0.05 * drift[0]
    assert forgotten(version, chains) == pytest.approx(0.0, abs=0.01)


# tasks and mixtures


MATRIX = ((1, 3), (1, 1, 6))
"""A quarter of the steps for what is known while "b" is learned; an eighth for it and one for "b" while "c" is."""


def test_each_task_gets_the_steps_of_its_stage():
    order = Order([50] * 4000, [50] * 90, 8, 1, 5)
    batches = by_task(order, [range(40), range(40, 90)], 0.25, [1.0, 3.0])
    drawn = Counter("new" if batch.new else "first" if batch.replayed[0] < 40 else "second" for batch in batches)
    for task, share in (("new", 0.75), ("first", 0.0625), ("second", 0.1875)):
        assert drawn[task] == pytest.approx(share * len(batches), abs=3 * sqrt(share * (1 - share) * len(batches)))


@pytest.mark.slow
def test_a_chain_of_tasks_by_its_stage_matrix_forgets_less_than_half(chains, learned):
    """Measured over twice as many steps: 0.68 nats at most, where one task after the other forgets 1.66."""
    lost = []
    for method, settings in (("finetune", {}), ("ernie_cmtl", {"stage_matrix": MATRIX, "memory_records": 512})):
        first = learned(method, records=LEARNED[:640], epochs=1, **settings)
        second = learned(method, first, speech("c", 640, seed=1), epochs=1, **settings)
        lost.append(max(forgotten(second, chains), loss(second, NEW) - loss(first, NEW)))
    assert lost[1] <= 0.5 * lost[0]


@pytest.mark.parametrize("matrix", [[[1, 3], [1, 6]], [[1, 0]], [[-1, 3]]])
def test_a_stage_matrix_without_a_number_for_each_task_is_refused(matrix):
    with pytest.raises(ValueError, match="stage_matrix"):
        settings_for("ernie_cmtl", "cpt", {"stage_matrix": matrix})


def test_sources_are_shuffled_together_and_not_learned_one_after_another():
    """Of the orders of Yildiz et al. 2024 the random one transfers best."""
    groups = {"web": range(200), "code": range(200, 300)}
    batches = weighted(Order([50] * 300, [], 10, 2, 5), groups, {"web": 1, "code": 1}, 0.0)
    half = [index for batch in batches[: len(batches) // 2] for index in batch.new]
    assert sum(index < 200 for index in half) / len(half) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_short_runs_find_the_mixture_that_is_best_in_the_long_run(chains, tmp_path):
    """Llemma's choice: few texts of the target, many of a source that speaks as it does and of one that does not.

    Measured: 3.55 and 3.08 nats, and 2.90 of the mixture that short runs choose.
    """
    sources = [*speech("b", 32, seed=1, source="target"), *speech("b", 160, seed=2, source="near")]
    sources += speech("c", 160, seed=3, source="far")
    mixtures = [{"target": 1, "near": near, "far": 9 - near} for near in (1, 4.5, 8)]
    options = {"pilot_mixtures": mixtures, "pilot_target": "target", "pilot_steps": 15}
    piloted = train(tmp_path / "pilot", chains, "cpt", "domain_mix", sources, **RECIPE, **options)[1]
    chosen = json.loads((piloted / "memory" / "mixture.json").read_text())
    assert chosen["weights"] == mixtures[chosen["losses"].index(min(chosen["losses"]))] == mixtures[2]
    for number, weights in enumerate(mixtures[:2]):
        other = train(tmp_path / str(number), chains, "cpt", "domain_mix", sources, **RECIPE, source_weights=weights)[1]
        assert loss(piloted, NEW) < loss(other, NEW)


def test_pilots_for_a_source_that_is_not_there_or_without_a_choice_are_refused(base, tmp_path):
    with pytest.raises(InvalidInput, match="no record is of that source; sources: test"):
        options = {"pilot_mixtures": [{"test": 1}, {"test": 2}], "pilot_target": "web", "epochs": 1}
        train(tmp_path / "none", base, "cpt", "domain_mix", TEXTS, **options)
    for settings in ({"pilot_mixtures": [{"a": 1}]}, {"pilot_mixtures": [{}, {"a": 1}], "source_weights": {"a": 1}}):
        with pytest.raises(ValueError, match="two or more mixtures"):
            settings_for("domain_mix", "cpt", settings)


def test_a_mixture_of_nothing_is_refused_and_says_what_there_is(base, tmp_path):
    for number, settings in enumerate(
        ({"source_weights": {"test": 0}}, {"pilot_mixtures": [{"test": 1}, {"test": 0}]})
    ):
        with pytest.raises(InvalidInput, match=r"\{'test': 0.0\} no source .* sources: test"):
            train(tmp_path / str(number), base, "cpt", "domain_mix", TEXTS, epochs=1, **settings)


def test_instructions_after_a_domain_teach_to_answer_and_cost_the_domain_little(base, tmp_path):
    """PLLaMa's two stages. Measured: no question and then all are answered; 4.17 and then 4.14 nats on the texts."""
    options = {"learning_rate": 3e-3, "epochs": 60, "batch_size": 4}
    domain = train(tmp_path / "domain", base, "cpt", "domain_mix", TEXTS, **options)[1]
    options |= {"version": "v2", "replay_share": 0.5}
    tuned = train(tmp_path / "tuned", domain, "cit", "replay", CHATS, **options)[1]
    assert correct(tuned, UNKNOWN) > correct(domain, UNKNOWN)
    assert loss(tuned, TEXTS) <= 1.05 * loss(domain, TEXTS)


# what a model says by itself


def test_what_a_model_says_is_about_as_likely_to_it_as_what_it_learned_from(chains):
    """Measured: 2.80 nats, and 2.66 of the language that it learned."""
    from learners import weights
    from learners.parts.generate import sampled_rows
    from learners.parts.select import novelty

    loaded = weights.load(chains, verify=False)
    options = {"max_tokens": 50, "temperature": 1.0, "top_k": 64, "seed": 1}
    pool = novelty(loaded.model, sampled_rows(loaded.model, loaded.tokenizer, 32, **options))
    assert sum(pool) / len(pool) == pytest.approx(loss(chains, KNOWN), rel=0.1)


# code in two steps


CODE = ["cow = give('Rome')", "bee = make('Lima')", "dog = bark('Oslo')"]


@pytest.mark.slow
def test_a_generator_is_served_with_its_sketcher_and_knows_no_less_than_one_step(base, tmp_path):
    """Measured: both write all three."""
    options = {"learning_rate": 3e-3, "epochs": 120, "batch_size": 3}
    files = [text(code) for code in CODE]
    sketcher, one_step = (
        train(tmp_path / role, base, "cpt", "cert", files, role=role, **options)[1] for role in ("sketcher", "plain")
    )
    sketcher = sketcher.rename(sketcher.parent / "sketcher")
    generator = train(tmp_path / "generator", base, "cpt", "cert", files, sketcher=sketcher.name, **options)[1]
    asked = [Prompt(text=code[:5]) for code in CODE]
    open_engine = open_engines(EngineSettings(kind="transformers"))
    drafts, plain, exact = (
        in_order(open_engine(VersionRef(id="v", path=version)).generate(asked, [40] * 3), 3)
        for version in (sketcher, one_step, generator)
    )
    assert drafts == [" give('string')", " make('string')", " bark('string')"]
    right = [sum(f"{code[:5]}{one}" == code for code, one in zip(CODE, said, strict=True)) for said in (plain, exact)]
    assert right[1] >= max(right[0], 2)


def test_what_is_open_in_a_draft_is_asked_for_behind_the_sketch_of_the_whole_block():
    assert request_to_write("import a\n\nx = a.f(3, ", "number)") == "import a\n\nx = a.f(number, number)\nx = a.f(3, "
    assert request_to_write("x = ", "a.f(y)") is None
    assert request_to_write("def top(", "frame, number") == "def top(frame, number\ndef top("


def test_a_generator_names_a_sketcher_and_no_other_version(base, tmp_path):
    with pytest.raises(InvalidInput, match="'v0' is no sketcher"):
        train(tmp_path / "none", base, "cpt", "cert", [text("a = 1")], sketcher=base.name, epochs=1)
    with pytest.raises(ValueError, match="only a generator has a sketcher"):
        settings_for("cert", "cpt", {"role": "plain", "sketcher": "v1"})
