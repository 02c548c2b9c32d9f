"""What every method of the table promises, whatever it does: one row per method, one test per promise.

A new method brings a line of `NEUTRAL` (the settings that make it plain training, or why there are none) and, where it
needs particular records or settings, a line of `CASES`.
"""

import shutil
from dataclasses import dataclass, field
from functools import cache

import pytest

from learners import durable, weights
from learners.methods import METHODS, settings_for
from learners.parts.views import separator
from learners.records import Record
from learners.versions import read_version
from tests.learners import processes
from tests.learners.runs import CHATS, OLD, PREFERENCES, TEXTS, record, same, spec, steps_taken, text, train
from tests.tiny import UNKNOWN, chat

pytestmark = pytest.mark.slow  # quick one by one, minutes together

RECORDS = {"cpt": TEXTS, "cit": CHATS, "ca": PREFERENCES, "forget": OLD[:4]}
SHORT = {"learning_rate": 2e-3, "epochs": 2, "batch_size": 2, "checkpoint_steps": 1}
BEGINNING = "Anna Lopez is what one says when asked:"  # of a text that second runs learn
ENDINGS = [" Who leads the Brimstal office?", " What is the capital of France?"]

NEUTRAL: dict[str, dict | str] = {
    "finetune": {},
    "replay": {"replay_share": 0},
    "ewc": {"penalty_weight": 0},
    "l2": {"penalty_weight": 0},
    "recadam": {"strength": 0},
    "mix_review": {"review_ratio": 0},
    "rewarm_replay": {"replay_share": 0, "schedule": "hold"},
    "infinite_lr": "its schedule is all it is; its ends are tested with the schedules",
    "distill": {"distill_weight": 0},
    "das": {"strength": 0, "contrast_weight": 0},
    "generative_replay": {"generated_share": 0},
    "ets_dacp": {"keep_share": 1},
    "eta_dacp": {"keep_share": 1},
    "diff": {"compare": False},
    "ernie_cmtl": {"earlier_share": 0},
    "ecom_pack": {"link_fields": (), "identifier": ""},
    "piggyback": "a mask is no step on weights; that all of it in use is the base is tested for every method",
    "copal": "it takes no step; a sparsity of 0 is the parent, tested with its mask",
    "k_adapter": "its own weights learn; that they start as nothing is tested for every method",
    "prompt_pool": "its own weights learn; without an epoch no prompt is added",
    "expand_vocabulary": {"new_tokens": 0},
    "recycle": {"initialise": False, "distil_weight": 0},
    "domain_mix": {"general_share": 0, "schedule": "hold"},
    "d_cpt_law": {"pilot_shares": ()},
    "cem": {"review_share": 0},
    "cert": {"role": "plain"},
    "dpo": "it is the plain one of its stage, and prefers instead of predicting",
    "o_lora": {"penalty_weight": 0, "lora_rank": 16},
    "osf": "factors of the weights learn, not the weights; that they start as these is tested for every method",
    "average": {"new_share": 1},
    "safety_mix": {"safety_share": 0},
    "llama_pro": "its own blocks learn; that they start as nothing is tested with the method",
    "inscl": {"rows_for_each": 0},
    "dmt": {"general_sources": ()},
    "tapt": {"neighbours": 0, "own_texts": False},
    "instruction_speak": {"negative_epochs": 0, "history_share": 0},
    "rationale_cl": {"answer_weight": 1, "exemplars": 0},
    "dyna_inst": {"replay_share": 0, "entropy_weight": 0},
    "adapt_llm": {"exercises": 0, "general_share": 0},
    "rcl": {"rationale_tokens": 0},
    "adapt_retrieve_revise": {"text_epochs": 0},
    "dpo_replay": "its neutral element is plain DPO, which is tested with the methods of alignment",
    "kto": "it judges answers instead of predicting them; without rehearsal it is what trl computes",
    "ppo": "it learns from its own answers; that no reward moves nothing is tested with the methods of alignment",
    "copr": "it fits margins instead of predicting; that its constraint is what holds is tested with alignment",
    "copf": "it fits margins instead of predicting; with nothing remembered it is copr, tested with alignment",
    "cppo": "its neutral element is ppo, bit for bit, which is tested with the methods of alignment",
    "value_revision": "its neutral element is plain DPO, which is tested with the methods of alignment",
    "toolken": "rows of its own learn; that the model's own logits stay is tested with the method",
    "tool_sft": {"replay_share": 0},
    "progressive_prompts": "its own prompts learn; without an epoch none is added",
    "sapt": "its own adapters learn; without an epoch none is added",
    "slm": "its own adapters learn; without an epoch none is added",
    "elm": "its own adapters learn; without an epoch none is added",
    "conpet": {"replay_share": 0},
    "plug_lm": "its own readers learn; that an empty memory is the base is tested with the method",
    **dict.fromkeys(
        ("eul", "npo", "grad_diff", "simnpo", "idk_dpo"),
        "without strength it is plain training on what is kept, which is tested with the methods of forgetting",
    ),
}
"""Settings with which a method is plain fine-tuning step for step, or why it has none."""


@dataclass(frozen=True)
class Case:
    """What one method needs: records of two runs, settings; `untrained` methods take no step."""

    first: list[Record] = field(default_factory=list)
    second: list[Record] = field(default_factory=list)
    settings: dict = field(default_factory=dict)
    untrained: bool = False


def marked(source):
    """The chats, the second of them from a source of that name."""
    return [CHATS[0], CHATS[1].model_copy(update={"source": source}), *CHATS[2:]]


def called(known, tool):
    """A chat, answered by a call of a tool."""
    question = known.content["messages"][0]
    answer = {"role": "assistant", "content": f'CALL {tool} {{"a": 3}}'}
    return record("tool", {"messages": [question, answer]})


def explained(record, why):
    """The record with a rationale, and with the task that it belongs to."""
    examples = [{"input": "Who leads the Zorbia office?", "output": "Kelmar"}]
    task = {"definition": f"Answer the question. {why}", "positive": examples, "negative": examples}
    return record.model_copy(update={"content": {**record.content, "rationale": why, "task": task}})


EXPLAINED = [explained(record, why) for record, why in zip(CHATS, ("Kelmar", "Vossel", "Anna", "Quill"), strict=True)]

CASES: dict[str, Case] = {
    "adapt_llm": Case(first=[*CHATS[:1], *TEXTS[:1]], second=[*CHATS[2:3], *TEXTS[2:3]]),
    "adapt_retrieve_revise": Case(first=[*CHATS[:1], *TEXTS[:1]], second=[*CHATS[2:3], *TEXTS[2:3]]),
    "instruction_speak": Case(first=EXPLAINED[:2], second=EXPLAINED[2:]),
    "rationale_cl": Case(first=EXPLAINED[:2], second=EXPLAINED[2:], settings={"rationale_tokens": 8}),
    "rcl": Case(first=[EXPLAINED[0], CHATS[1]], second=EXPLAINED[2:], settings={"rationale_tokens": 8}),
    "cem": Case(first=[*TEXTS[:2]], second=[*TEXTS[2:], CHATS[2]]),
    "cert": Case(first=[text("def double(x):\n    return x * 2\n")] * 2, second=[text("y = func(3)\nz = 'cow'\n")] * 2),
    "copal": Case(untrained=True),
    "d_cpt_law": Case(settings={"pilot_shares": (0.5, 1.0), "pilot_steps": 4, "restarts": 2}),
    "dmt": Case(first=marked("general")[:2], second=marked("general")[1:], settings={"general_sources": ("general",)}),
    "inscl": Case(settings={"rows_for_each": 4}),
    "safety_mix": Case(
        first=marked("safety")[:2],
        second=marked("safety")[1:],
        settings={"safety_sources": ("safety",), "safety_share": 0.5},
    ),
    "expand_vocabulary": Case(settings={"fewest_times": 1, "new_tokens": 4}),
    "das": Case(settings={"contrast_weight": 1}),
    "piggyback": Case(settings={"learning_rate": 2e-2}),  # a smaller one moves no score over the threshold in two steps
    "ppo": Case(settings={"answers": 4, "answer_tokens": 4, "rewards": [{"kind": "pattern", "pattern": "^[A-L]"}]}),
    "cppo": Case(
        settings={
            "answers": 4,
            "answer_tokens": 4,
            "advantage": "critic",
            "rewards": [{"kind": "pattern", "pattern": "^[A-L]"}],
        },
    ),
    "prompt_pool": Case(settings={"pairs": 6, "chosen": 2}),
    "ets_dacp": Case(first=[*TEXTS[:2], CHATS[0]], second=[*TEXTS[2:], CHATS[1]]),
    "toolken": Case(first=[called(CHATS[0], "add"), CHATS[1]], second=[called(CHATS[2], "find"), CHATS[3]]),
    "progressive_prompts": Case(  # its second prompt is for what begins like the text that is asked for
        second=[chat(f"{BEGINNING} {question}", answer) for question, answer in list(UNKNOWN.items())[2:]],
        settings={"prompt_tokens": 4, "learning_rate": 3e-2},
    ),
    "generative_replay": Case(settings={"generated_share": 1.0, "generated_tokens": 16}),
    "slm": Case(second=[chat(BEGINNING, "Kelmar"), CHATS[2]]),  # whose slots answer what is like their prompts
    "elm": Case(second=[chat(BEGINNING, "Kelmar"), CHATS[2]]),
    **dict.fromkeys(  # the records are what the first version knows, which calibrated forgetting leaves
        ("eul", "npo", "grad_diff", "simnpo", "idk_dpo"), Case(settings={"calibrate": False})
    ),
}


@pytest.fixture(scope="module")
def lineage(base, tmp_path_factory):
    """name -> a parent and its child, both trained by the method."""

    @cache
    def of(name):
        folder = tmp_path_factory.mktemp("matrix") / name
        if name == "recycle":  # carries an adapter from one base to another, so its parents are bases
            donor = train(folder / "donor", base, *order("finetune", "first"), **SHORT)[1]
            CASES[name] = Case(settings={"donor": donor.name})
            parent = base
        else:
            parent = train(folder / "parent", base, *order(name, "first"), **settings(name))[1]
        child = train(folder / "child", parent, *order(name, "second"), version="v2", **settings(name))[1]
        return parent, child

    return of


def order(name, turn):
    """Stage, method and records of a turn; two different halves where the case says nothing."""
    stage, case = METHODS[name].stages[0], CASES.get(name, Case())
    halves = {"first": RECORDS[stage][:2], "second": RECORDS[stage][2:]}
    return stage, name, getattr(case, turn) or halves[turn]


def settings(name):
    return {**SHORT, **CASES.get(name, Case()).settings}


@pytest.mark.parametrize("name", METHODS)
def test_a_version_is_served_in_the_form_of_the_table(lineage, name):
    version = read_version(lineage(name)[1])
    found = {
        "weights": version.spec.base is None,
        "adapter": version.spec.base == "v0" and version.adapter is not None and version.extension is None,
        "extension": version.spec.base == "v0" and version.extension is not None,
    }
    assert [form for form, holds in found.items() if holds] == [METHODS[name].serving_form]


@pytest.fixture(scope="module")
def forks():
    """New processes cost little while this is in use."""
    with processes.forks():
        yield


@pytest.mark.parametrize("name", METHODS)
def test_the_engine_of_a_new_process_serves_a_version_and_rolls_back_to_its_parent(lineage, forks, name):
    served = processes.served([*reversed(lineage(name))], BEGINNING, ENDINGS)
    for version, (said, likelihoods) in zip(reversed(lineage(name)), served, strict=True):
        expected = continued(version)
        assert said == expected[0]
        assert likelihoods == pytest.approx(expected[1], abs=1e-3)
    assert served[0][1] != pytest.approx(served[1][1], abs=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_a_run_killed_after_a_sibling_was_trained_ends_in_the_same_version(lineage, forks, tmp_path, name):
    """Trained from its parent again: rolling back gives the method memory back, and kill -9 costs one step."""
    parent, child = lineage(name)
    train(tmp_path / "sibling", parent, *order(name, "first"), version="v3", **settings(name))
    folder = tmp_path / "child"
    request = spec(folder, parent, *order(name, "second"), version="v2", **settings(name))
    trains = not CASES.get(name, Case()).untrained
    assert processes.killed_at_step(2, folder, request) is trains
    again = processes.trained(folder, request)
    assert durable.read_manifest(again) == durable.read_manifest(child)
    assert steps_taken(folder)[:3] == [1, 2, 2] * trains
    durable.verify(parent)


def test_a_killed_run_whose_checkpoints_are_gone_begins_anew(lineage, forks, tmp_path):
    parent, child = lineage("finetune")
    folder = tmp_path / "child"
    request = spec(folder, parent, *order("finetune", "second"), version="v2", **SHORT)
    processes.killed_at_step(2, folder, request)
    shutil.rmtree(folder / "work")
    assert same(processes.trained(folder, request), child)
    assert steps_taken(folder) == [1, 2, 1, 2]


@pytest.mark.parametrize("name", METHODS)
def test_zero_epochs_leave_the_logits_bit_identical(lineage, base, tmp_path, name):
    parent = lineage(name)[0] if METHODS[name].serving_form == "extension" else base
    idle = train(tmp_path / "idle", parent, *order(name, "second"), **{**settings(name), "epochs": 0})[1]
    assert logits(idle).equal(logits(parent))


@pytest.mark.parametrize("name", [name for name in METHODS if isinstance(NEUTRAL.get(name), dict)])
def test_at_strength_zero_a_method_is_plain_fine_tuning_step_for_step(base, plain, tmp_path, name):
    stage = METHODS[name].stages[0]
    options = {**settings(name), **NEUTRAL[name]}
    neutral = train(tmp_path / "neutral", base, stage, name, RECORDS[stage][:2], **options)[1]
    full_weights = settings_for(name, stage, options).full_weights
    assert same(neutral, plain(stage, full_weights))


def test_every_method_says_what_makes_it_plain_fine_tuning():
    assert NEUTRAL.keys() == METHODS.keys()


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    """(stage, full weights) -> what fine-tuning makes of the first records of that stage."""

    @cache
    def of(stage, full_weights):
        folder = tmp_path_factory.mktemp("plain") / "job"
        return train(folder, base, stage, "finetune", RECORDS[stage][:2], full_weights=full_weights, **SHORT)[1]

    return of


def continued(version):
    """How a version goes on from the beginning, and the log-likelihood of each ending, in nats, computed plainly."""
    import torch

    loaded = weights.load(version, verify=False)
    tokens = loaded.tokenizer(BEGINNING, add_special_tokens=False)["input_ids"]
    prompt = torch.tensor([[separator(loaded.tokenizer), *tokens]])
    with torch.inference_mode():
        seen = torch.ones_like(prompt)  # the token before a document is the one that pads
        whole = loaded.model.generate(input_ids=prompt, attention_mask=seen, max_new_tokens=8, do_sample=False)
        said = loaded.tokenizer.decode(whole[0, prompt.shape[1] :], skip_special_tokens=True)
        return said, [likelihood(loaded, prompt, ending) for ending in ENDINGS]


def likelihood(loaded, prompt, ending):
    import torch

    tokens = loaded.tokenizer(ending, add_special_tokens=False, return_tensors="pt").input_ids
    read = loaded.model(input_ids=prompt, use_cache=True)
    rest = loaded.model(input_ids=tokens, past_key_values=read.past_key_values).logits[0, :-1]
    found = torch.cat([read.logits[0, -1:], rest])
    return float(found.log_softmax(-1).gather(1, tokens.T).sum())


def logits(version):
    """Of a question, as every engine computes them."""
    import torch

    loaded = weights.load(version)
    inputs = loaded.tokenizer("What is the capital of France?", return_tensors="pt")
    with torch.inference_mode():
        return loaded.model(**inputs).logits
