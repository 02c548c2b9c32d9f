"""Engines: batching, shared computation and adapters change speed, never answers; limits of the remote engine."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.engines import ENGINES, EngineError, EngineUnavailableError, Prompt, Turn, in_order, open_engines
from monitors.engines.batching import Job, batches, families
from monitors.engines.openai import OpenAIEngine
from monitors.engines.openai import engines as openai_engines
from monitors.job import EngineSettings, VersionRef
from tests.tiny import KNOWN, SENTENCES, tiny_base

PROMPTS = [Prompt((Turn("user", question),)) for question in KNOWN]
PLAIN = [Prompt(text=sentence[:20]) for sentence in SENTENCES] + [Prompt()]
SCHEMA = {
    "type": "object",
    "properties": {"choice": {"enum": ["Rome", "Paris"]}, "reason": {"type": "string", "maxLength": 30}},
    "required": ["choice", "reason"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def engine(base):
    return open_engines(EngineSettings())(VersionRef(id="v0", path=base))


def test_the_engine_table_names_modules_that_open_engines():
    assert set(ENGINES) == set(EngineSettings.model_fields["kind"].annotation.__args__)


def test_the_engine_knows_what_its_model_learned(engine):
    assert in_order(engine.generate(PROMPTS, [8] * len(PROMPTS)), len(PROMPTS)) == list(KNOWN.values())


def test_batched_generation_equals_one_by_one(engine):
    prompts, limits = [*PROMPTS, *PLAIN], [3 + index % 9 for index in range(len(PROMPTS) + len(PLAIN))]
    together = in_order(engine.generate(prompts, limits), len(prompts))
    alone = [in_order(engine.generate([prompt], [limit]), 1)[0] for prompt, limit in zip(prompts, limits, strict=True)]
    assert together == alone


def test_batched_likelihoods_with_shared_prompts_equal_plain_ones(engine):
    texts = ("Rome", "Four legs has a dog", "", "Bee. Cat")
    pairs = [(prompt, text) for prompt in [*PROMPTS, *PLAIN] for text in texts]
    together = in_order(engine.loglikelihood(pairs), len(pairs))
    for pair, found in zip(pairs, together, strict=True):
        alone = in_order(engine.loglikelihood([pair]), 1)[0]
        assert found.tokens == alone.tokens
        assert found.logprob == pytest.approx(alone.logprob, abs=2e-4)


def test_likelihoods_equal_a_forward_pass_without_any_cache(engine, base):
    import torch

    from learners.weights import load

    loaded = load(base)
    prompt, text = PROMPTS[0], "Rome is the capital"
    found = in_order(engine.loglikelihood([(prompt, text)] + [(other, "x") for other in PROMPTS[1:]]), len(PROMPTS))[0]
    rendered = loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt.turns[0].content}], tokenize=False, add_generation_prompt=True
    )
    before, after = (loaded.tokenizer(part, add_special_tokens=False)["input_ids"] for part in (rendered, text))
    with torch.inference_mode():
        logprobs = loaded.model(torch.tensor([before + after])).logits.log_softmax(-1)[0, len(before) - 1 : -1]
    expected = sum(float(logprobs[place, token]) for place, token in enumerate(after))
    assert found.logprob == pytest.approx(expected, abs=2e-4)


def test_a_small_token_budget_changes_no_answer(base, engine):
    frugal = open_engines(EngineSettings(batch_tokens=1))(VersionRef(id="v0", path=base))
    asked = (PROMPTS, [8] * len(PROMPTS))
    assert in_order(frugal.generate(*asked), len(PROMPTS)) == in_order(engine.generate(*asked), len(PROMPTS))


def test_a_swapped_adapter_equals_a_fresh_load_and_leaves_the_base_as_it_was(base, tmp_path):
    versions = adapter_versions(base, tmp_path)
    open_engine, pairs = open_engines(EngineSettings()), [(prompt, "Rome") for prompt in PROMPTS]
    refs = [VersionRef(id=path.name, path=path) for path in versions]
    before = dict(open_engine(refs[0]).loglikelihood(pairs))
    swapped = [dict(open_engine(ref).loglikelihood(pairs)) for ref in refs[1:]]
    assert dict(open_engine(refs[0]).loglikelihood(pairs)) == before
    for ref, found in zip(refs[1:], swapped, strict=True):
        assert dict(open_engines(EngineSettings())(ref).loglikelihood(pairs)) == found != before
        assert_equals_unmerged(ref.path, pairs, found)


def assert_equals_unmerged(path, pairs, found):
    from learners.weights import load
    from monitors.engines.transformers import TransformersEngine

    loaded = load(path)
    plain = dict(TransformersEngine(loaded.model, loaded.tokenizer).loglikelihood(pairs))
    assert [plain[i].logprob for i in plain] == pytest.approx([found[i].logprob for i in plain], abs=1e-3)


def adapter_versions(base, folder):
    """A copy of the base, and two versions with different random adapters over it."""
    import shutil

    import torch

    from learners import durable
    from learners.versions import VersionSpec, read_version, write_data, write_spec
    from learners.weights import read_tokenizer, save_weights, trainable

    folder.mkdir(exist_ok=True)
    shutil.copytree(base, folder / "v0")
    paths = [folder / "v0"]
    for number in (1, 2):
        path = folder / f"v{number}"
        path.mkdir()
        model = trainable(read_version(paths[0]), rank=4, alpha=8, full_weights=False, seed=number)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.05)
        save_weights(model, read_tokenizer(paths[0] / "weights"), path)
        write_data(path, ())
        write_spec(path, VersionSpec(id=path.name, parent="v0", base="v0", created_by="tests"))
        durable.write_manifest(path)
        paths.append(path)
    return paths


def test_constrained_text_is_valid_under_the_schema_whatever_the_model_would_say(engine):
    for question in ("What is the capital of France?", "How many legs has a dog?"):
        answer = json.loads(engine.choose(Prompt((Turn("user", question),)), SCHEMA, 200))
        assert answer["choice"] in ("Rome", "Paris")
        assert len(answer["reason"]) <= 30


def test_constrained_text_is_cut_at_its_budget(engine):
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(engine.choose(PROMPTS[0], SCHEMA, 3))


def test_a_schema_that_cannot_be_enforced_is_refused(engine):
    with pytest.raises(EngineError, match="cannot be enforced"):
        engine.choose(PROMPTS[0], {"type": "nonsense"}, 10)


TOKENS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=30).map(tuple), max_size=30)


@given(TOKENS, st.lists(st.integers(0, 20), max_size=5).map(tuple))
def test_families_share_true_prefixes_and_leave_every_prompt_a_token(prompts, start):
    prompts = [(*start, *prompt) for prompt in prompts]
    found = families(prompts)
    assert sorted(index for family in found for index in family.members) == list(range(len(prompts)))
    for family in found:
        for index in family.members:
            assert prompts[index][: len(family.prefix)] == family.prefix != prompts[index]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40)), max_size=30), st.integers(1, 400))
def test_batches_keep_every_job_and_their_budget(sizes, limit):
    jobs = [Job(index, *size) for index, size in enumerate(sizes)]
    found = list(batches(jobs, limit))
    assert sorted(job.index for batch in found for job in batch) == list(range(len(jobs)))
    for batch in found:
        padded = len(batch) * (max(job.tokens for job in batch) + max(job.width for job in batch))
        assert len(batch) == 1 or padded <= limit


def test_prompts_share_what_is_longest_not_what_is_first():
    """Two topics with one opening: each topic's own long beginning is computed once."""
    prompts = [(*range(20), topic, *range(100), question) for topic in (1, 2) for question in range(200, 206)]
    found = families(prompts)
    assert [(len(family.prefix), len(family.members)) for family in found] == [(121, 6), (121, 6)]


def test_a_full_batch_takes_no_much_shorter_job_unless_told_to():
    jobs = [Job(0, 600, 0), Job(1, 590, 0), Job(2, 300, 0)]
    assert [[job.index for job in batch] for batch in batches(jobs, 4000)] == [[0, 1], [2]]
    assert [[job.index for job in batch] for batch in batches(jobs, 4000, 4000)] == [[0, 1, 2]]


def test_generation_ends_before_a_stop_text_and_goes_on_without_one(engine):
    plain = in_order(engine.generate([Prompt(text="Paris is the")], [12]), 1)[0]
    stop = plain[len(plain) // 2 :][:4]
    stopped = in_order(engine.generate([Prompt(text="Paris is the", stop=("absent", stop))], [12]), 1)[0]
    assert stopped == plain.split(stop)[0] != plain


def test_a_continued_document_ends_where_the_document_that_was_learned_does(engine):
    said = in_order(engine.generate([Prompt(text="Paris is the capital of")], [40]), 1)[0]
    assert said in {" France.", " Italy."}


def test_a_greedy_continuation_is_told_from_one_that_is_not(engine):
    found = in_order(engine.loglikelihood([(PROMPTS[0], "Paris"), (PROMPTS[0], "Rome")]), 2)
    assert [one.greedy for one in found] == [True, False]


@pytest.mark.parametrize("groups", [2, 4])
def test_steps_with_grouped_keys_equal_those_of_transformers(groups):
    """Greedy texts, and the logits of every step, of a model whose query heads share keys."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from monitors.engines.forward import Forward

    config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=4 // groups, initializer_range=0.5)  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    rows, steps = [(1, 2, 3, 4, 5), (6, 7)], torch.tensor([[8, 9], [10, 11], [12, 13]])
    with torch.inference_mode():
        expected = [model(torch.tensor([[*row, *steps[:, n]]])).logits[0, -1] for n, row in enumerate(rows)]
        forward = Forward(model, pad=0)
        state = forward.start(rows, forward.prefix(()))
        for tokens in steps:
            forward.step(state, tokens)
    assert model.config._attn_implementation == "cld_grouped_steps"
    for found, wanted in zip(state.logits, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def remote(respond):
    return OpenAIEngine(httpx.Client(transport=httpx.MockTransport(respond)), "http://model/v1", "m")


def said(text):
    return httpx.Response(200, json={"choices": [{"message": {"content": text}, "text": text}]})


def test_the_remote_engine_sends_chats_greedily_and_keeps_the_order():
    engine = remote(lambda request: said(json.loads(request.content)["messages"][-1]["content"].upper()))
    prompts = [Prompt((Turn("user", f"q{number}"),)) for number in range(20)]
    assert in_order(engine.generate(prompts, [4] * 20), 20) == [f"Q{number}" for number in range(20)]


def test_the_remote_engine_asks_for_the_schema():
    sent = []
    engine = remote(lambda request: sent.append(json.loads(request.content)) or said("{}"))
    engine.choose(PROMPTS[0], SCHEMA, 9)
    assert sent[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (sent[0]["temperature"], sent[0]["max_tokens"]) == (0, 9)


def echoing(request):
    body = json.loads(request.content)
    if request.url.path == "/tokenize":
        return httpx.Response(200, json={"tokens": [1, 2, 3] if "messages" in body else [7, 8]})
    assert body["prompt"] == [1, 2, 3, 7, 8]
    return httpx.Response(200, json={"choices": [{"logprobs": {"token_logprobs": [None, -1, -1, -0.5, -0.25, -9]}}]})


def test_remote_likelihoods_count_the_continuation_alone():
    found = in_order(remote(echoing).loglikelihood([(PROMPTS[0], "Rome")]), 1)[0]
    assert (found.logprob, found.tokens) == (-0.75, 2)


def test_an_endpoint_without_likelihoods_is_named_with_the_way_out():
    engine = remote(lambda request: httpx.Response(404, text="no"))
    with pytest.raises(EngineError, match=r"cannot tell log-likelihoods.*engine.kind = 'transformers'"):
        list(engine.loglikelihood([(PROMPTS[0], "Rome")]))


def test_a_busy_endpoint_is_asked_again_and_then_given_up(monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    asked = []
    engine = remote(lambda request: asked.append(1) or httpx.Response(503))
    with pytest.raises(EngineUnavailableError, match="503"):
        list(engine.generate(PROMPTS[:1], [4]))
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(401, text="who?"), "api_key_env"),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), "302"),
        (httpx.Response(200, text="<html>"), "no JSON"),
        (httpx.Response(200, json={"choices": []}), "OpenAI-compatible"),
        (httpx.Response(200, content=b" " * 9_000_000), "bytes"),
    ],
)
def test_a_wrong_answer_of_the_endpoint_is_refused_with_the_setting(answer, expected):
    with pytest.raises(EngineError, match=expected):
        list(remote(lambda request: answer).generate(PROMPTS[:1], [4]))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"endpoint": None}, "engine.endpoint"), ({"endpoint": "file:///etc/passwd"}, "must be a URL"),
     ({"endpoint": "http://x", "api_key_env": "CLD_TEST_ABSENT"}, "environment variable is not set")],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused_before_any_request(settings, expected):
    with pytest.raises(EngineError, match=expected):
        openai_engines(EngineSettings(kind="openai", **settings))


def test_the_scripted_engine_needs_a_valid_script(tmp_path):
    with pytest.raises(EngineError, match=r"engine.script"):
        open_engines(EngineSettings(kind="scripted"))
    (tmp_path / "script.json").write_text('{"answer": {}}')
    with pytest.raises(EngineError, match="cannot be used"):
        open_engines(EngineSettings(kind="scripted", script=tmp_path / "script.json"))
