"""The remote engine against a real HTTP server: order, retries, time limits and crashes in the middle of a job."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from monitors.engines import EngineError, EngineUnavailableError, Prompt, Turn, in_order, open_engines
from monitors.job import EngineSettings, MeasureSpec, VersionRef
from monitors.measure import measure
from tests.monitors.test_measure import SUITE, job_in, rows_of


class Server(ThreadingHTTPServer):
    """Answers like a small model: texts in capitals, -0.5 nats a token; `script` holds what goes wrong, by path."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict, str | None]] = []
        self.script: dict[str, list] = {}
        self.counts: Counter[str] = Counter()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body, self.headers.get("authorization")))
        self.server.counts[self.path] += 1
        step = next(iter(self.server.script.get(self.path, [])), None)
        if step is not None:
            self.server.script[self.path].pop(0)
        if step == "hang":
            threading.Event().wait(1.0)  # time.sleep stands still in these tests
        if step == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
            self.close_connection = True
            return
        self.answer(step if isinstance(step, int) else 200, ANSWERS[self.path](body))

    def answer(self, status, value):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):
        pass


def chatted(body):
    return {"choices": [{"message": {"content": body["messages"][-1]["content"].upper()}}]}


def completed(body):
    prompt = body["prompt"]
    if not body.get("echo"):
        return {"choices": [{"text": f"{len(prompt)} things.\nQ: more"}]}
    numbers = [None, *[-0.5] * len(prompt)]
    tops = [None, *[{"x": -0.5 if token != 9 else -0.1} for token in [*prompt[1:], 0]]]
    return {"choices": [{"logprobs": {"token_logprobs": numbers, "top_logprobs": tops}}]}


ANSWERS = {
    "/v1/chat/completions": chatted,
    "/v1/completions": completed,
    "/tokenize": lambda body: {"tokens": [1, 2, 3] if "messages" in body else [7] * len(body["prompt"].split())},
}
CHAT = "/v1/chat/completions"


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _short_waits_and_closed_clients(monkeypatch):
    clients = []

    class Client(httpx.Client):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            clients.append(self)

    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr("httpx.Client", Client)
    yield
    for client in clients:
        client.close()


def engine(server, **more):
    return open_engines(EngineSettings(kind="openai", endpoint=server.endpoint, **more))(VersionRef(id="v3", path="."))


def questions(count):
    return [Prompt((Turn("user", f"q{number}"),)) for number in range(count)]


def test_many_requests_side_by_side_keep_their_order_and_name_the_version(server):
    assert in_order(engine(server).generate(questions(40), [4] * 40), 40) == [f"Q{number}" for number in range(40)]
    assert {body["model"] for _, body, _ in server.asked} == {"v3"}


def test_the_key_is_read_from_its_variable_and_sent(server, monkeypatch):
    monkeypatch.setenv("CLD_TEST_KEY", "secret")
    list(engine(server, api_key_env="CLD_TEST_KEY").generate(questions(1), [4]))
    assert server.asked[0][2] == "Bearer secret"


@pytest.mark.parametrize("trouble", [503, 429, "cut"])
def test_a_server_in_trouble_is_asked_again_until_it_answers(server, trouble):
    server.script[CHAT] = [trouble, trouble]
    assert in_order(engine(server).generate(questions(1), [4]), 1) == ["Q0"]
    assert server.counts[CHAT] == 3


def test_a_server_that_stays_in_trouble_is_given_up_with_its_words(server):
    server.script[CHAT] = [500] * 3
    with pytest.raises(EngineUnavailableError, match="answered 500"):
        list(engine(server).generate(questions(1), [4]))


def test_a_server_that_hangs_is_given_up_in_time(server, monkeypatch):
    monkeypatch.setattr("monitors.engines.openai.REQUEST_SECONDS", 0.05)
    monkeypatch.setattr("monitors.engines.openai.ATTEMPTS", 1)
    server.script[CHAT] = ["hang"]
    started = time.monotonic()
    with pytest.raises(EngineUnavailableError, match=r"does not answer.*engine.endpoint"):
        list(engine(server).generate(questions(1), [4]))
    assert time.monotonic() - started < 0.9


def test_a_server_that_is_not_there_is_named(server, monkeypatch):
    monkeypatch.setattr("monitors.engines.openai.ATTEMPTS", 1)
    gone = EngineSettings(kind="openai", endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(EngineUnavailableError, match=r"127\.0\.0\.1:9"):
        list(open_engines(gone)(VersionRef(id="v3", path=".")).generate(questions(1), [4]))


def test_a_refusal_is_not_asked_again(server):
    server.script[CHAT] = [404]
    with pytest.raises(EngineError, match=r"engine\.model"):
        list(engine(server).generate(questions(1), [4]))
    assert server.counts[CHAT] == 1


def test_tokens_and_stop_texts_are_passed_and_the_answer_ends_before_them(server):
    prompt = Prompt(tokens=(5, 6, 7), stop=("Q:",))
    assert in_order(engine(server).generate([prompt], [9]), 1) == ["3 things.\n"]
    body = server.asked[0][1]
    assert (body["prompt"], body["stop"], body["max_tokens"]) == ([5, 6, 7], ["Q:"], 9)


def test_likelihoods_of_tokens_need_no_tokenizer_and_tell_whether_they_are_greedy(server):
    prompt = Prompt(tokens=(5, 6, 7))
    found = in_order(engine(server).loglikelihood([(prompt, (1, 2)), (prompt, (1, 9))]), 2)
    assert [(one.logprob, one.tokens, one.greedy) for one in found] == [(-1.0, 2, True), (-1.0, 2, False)]
    assert server.counts["/tokenize"] == 0


def test_a_measure_job_goes_on_after_the_server_failed(server, tmp_path):
    (tmp_path / "mine.yaml").write_text(SUITE)
    settings = EngineSettings(kind="openai", endpoint=server.endpoint)
    version = VersionRef(id="v0", path=tmp_path / "v0")
    spec = MeasureSpec(versions=(version,), suites=(tmp_path / "mine.yaml",), engine=settings).model_dump(mode="json")
    server.script[CHAT] = [500] * 6
    with pytest.raises(EngineUnavailableError):
        measure(spec, job_in(tmp_path / "job"))
    kept = (tmp_path / "job" / "work" / "measurements.jsonl").read_text().splitlines()
    scored = server.counts["/v1/completions"]
    measure(spec, job_in(tmp_path / "job"))
    assert [json.loads(line)["probe"] for line in kept] == ["sky"]
    assert len(rows_of(job_in(tmp_path / "job"))) == 3
    assert server.counts["/v1/completions"] == scored + 2  # the two openings of `harm`; `sky` is not asked again
