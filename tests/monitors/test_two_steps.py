"""Promises of answering in two steps: a sketch first, then the code for it, for code alone."""

import pytest

from learners.versions import VersionSpec, write_spec
from monitors.engines import Likelihood, Prompt, Turn, in_order
from monitors.engines.two_steps import in_two_steps
from monitors.job import VersionRef

CHAT = Prompt(turns=(Turn("user", "Hello"),))


class Saying:
    """An engine that answers by a table, and remembers what it was asked."""

    def __init__(self, answers):
        self._answers = answers
        self.asked = []

    def generate(self, prompts, max_new_tokens):
        self.asked += prompts
        for index in reversed(range(len(prompts))):
            yield index, self._answers[prompts[index].text]

    def loglikelihood(self, pairs):
        yield from ((index, Likelihood(-1.0, 1)) for index, _ in enumerate(pairs))

    def choose(self, prompt, schema, max_new_tokens):
        return "{}"


@pytest.fixture
def served(tmp_path):
    """(answers of the sketcher, of the generator, settings) -> the generator as it is served, and both engines."""

    def serve(drafts, code, **settings):
        told = {"v1": Saying(drafts), "v2": Saying(code)}
        for version in told:
            (tmp_path / version / "weights").mkdir(parents=True)
            write_spec(tmp_path / version, VersionSpec(id=version, method="cert", settings=settings))
        opened = in_two_steps(lambda version: told[version.id])
        return opened(VersionRef(id="v2", path=tmp_path / "v2")), told

    return serve


def test_the_generator_is_asked_with_the_sketch_and_the_beginning_again(served):
    prompt = Prompt(text="import shop\n\ntotal =")
    request = "import shop\n\ntotal = shop.add(number, 'string')\ntotal ="
    engine, told = served(
        {prompt.text: " shop.add(number, 'string')"}, {request: " shop.add(3, 'milk')"}, sketcher="v1"
    )
    assert in_order(engine.generate([prompt], [20]), 1) == [" shop.add(3, 'milk')"]
    assert [one.text for one in told["v2"].asked] == [request]


def test_a_sketch_that_leaves_nothing_open_is_the_answer(served):
    engine, told = served({"total =": " shop.total()"}, {}, sketcher="v1")
    assert in_order(engine.generate([Prompt(text="total =")], [20]), 1) == [" shop.total()"]
    assert told["v2"].asked == []


def test_a_chat_is_the_generators_alone_and_answers_keep_their_places(served):
    engine, told = served(
        {"a =": " f()", "b =": " f(number)"}, {"": "Hi", "b = f(number)\nb =": " f(2)"}, sketcher="v1"
    )
    prompts = [Prompt(text="b ="), CHAT, Prompt(text="a =")]
    assert in_order(engine.generate(prompts, [9, 9, 9]), 3) == [" f(2)", "Hi", " f()"]
    assert [one.text for one in told["v1"].asked] == ["b =", "a ="]
    assert in_order(engine.loglikelihood([(CHAT, "x")]), 1)[0].logprob == -1.0


def test_a_generator_that_names_no_sketcher_answers_in_one_step(served):
    engine, told = served({}, {"a =": " f(1)"}, sketcher="")
    assert engine is told["v2"]


def test_a_model_without_a_folder_answers_as_it_is(tmp_path):
    engine = Saying({})
    assert in_two_steps(lambda version: engine)(VersionRef(id="judge", path=tmp_path)) is engine
