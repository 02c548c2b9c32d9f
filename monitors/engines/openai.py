"""The engine behind an OpenAI-compatible endpoint (vLLM, llama.cpp, a hosted service). Imports no torch.

Owns the requests and their limits on time and size; follows no redirects. What it uses of the API:

    generate        POST {endpoint}/chat/completions, or /completions for plain text; temperature 0
    choose          POST {endpoint}/chat/completions with `response_format` of type json_schema
    loglikelihood   POST /tokenize beside the endpoint's version path, then {endpoint}/completions with `echo` and
                    `logprobs`: vLLM has both. Elsewhere probes that need likelihoods end with an error that says so.

An endpoint serves one model at a time: `engine.model`, or else the model named like the version.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, cast

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from monitors.engines import (
    Continuation,
    EngineError,
    EngineUnavailableError,
    Likelihood,
    OpenEngine,
    Prompt,
    before_stop,
)
from monitors.job import EngineSettings, VersionRef

__all__ = ["OpenAIEngine", "engines"]

REQUEST_SECONDS = 120.0
CONNECT_SECONDS = 10.0
MAX_RESPONSE_BYTES = 8_000_000
PARALLEL_REQUESTS = 8
ATTEMPTS = 3
TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


def engines(settings: EngineSettings) -> OpenEngine:
    """Use one connection pool to `settings.endpoint` for all versions."""
    if not settings.endpoint or not settings.endpoint.startswith(("http://", "https://")):
        raise EngineError(
            f"engine.endpoint is {settings.endpoint!r}; it must be a URL such as http://127.0.0.1:8000/v1"
        )
    timeout = httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS)
    client = httpx.Client(timeout=timeout, headers=_authorisation(settings.api_key_env), follow_redirects=False)

    def open_engine(version: VersionRef) -> OpenAIEngine:
        return OpenAIEngine(client, str(settings.endpoint), settings.model or version.id, settings.seed)

    return open_engine


def _authorisation(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    key = os.environ.get(variable)
    if not key:
        raise EngineError(f"engine.api_key_env names {variable!r}, but that environment variable is not set")
    return {"Authorization": f"Bearer {key}"}


class OpenAIEngine:
    """Answers for one served model.

    Args:
        client: with time limits and credentials set; `httpx.MockTransport` stands in for a server in tests.
        endpoint: base URL, usually ending in /v1.
        model: the served model's name.
    """

    def __init__(self, client: httpx.Client, endpoint: str, model: str, seed: int = 0) -> None:
        self._client = client
        self._endpoint = endpoint.rstrip("/")
        self._common: dict[str, Any] = {"model": model, "temperature": 0, "seed": seed}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """See `monitors.engines.Engine.generate`; requests run side by side."""
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            asked = {
                pool.submit(self._complete, prompt, limit, {}): index
                for index, (prompt, limit) in enumerate(zip(prompts, max_new_tokens, strict=True))
            }
            for answer in as_completed(asked):
                yield asked[answer], answer.result()

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """See `monitors.engines.Engine.loglikelihood`; the endpoint must have /tokenize and `echo`."""
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            asked = {pool.submit(self._likelihood, prompt, text): index for index, (prompt, text) in enumerate(pairs)}
            for answer in as_completed(asked):
                yield asked[answer], answer.result()

    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """See `monitors.engines.Engine.choose`; the endpoint enforces the schema, if it does: callers check."""
        named = {"name": "answer", "schema": dict(schema), "strict": True}
        form = {"type": "json_schema", "json_schema": named}
        return self._complete(prompt, max_new_tokens, {"response_format": form})

    def _complete(self, prompt: Prompt, limit: int, more: dict[str, Any]) -> str:
        body = {**self._common, "max_tokens": limit, **more}
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if prompt.turns:
            answer = self._post("/chat/completions", {**body, "messages": _messages(prompt)})
            text = _at(answer, "choices", 0, "message", "content")
        else:
            answer = self._post("/completions", {**body, "prompt": list(prompt.tokens) or prompt.text})
            text = _at(answer, "choices", 0, "text")
        return before_stop(text, prompt.stop) if isinstance(text, str) else ""

    def _likelihood(self, prompt: Prompt, continuation: Continuation) -> Likelihood:
        before, after = self._prompt_tokens(prompt), self._continuation_tokens(continuation)
        if not after:
            return Likelihood(0.0, 0, greedy=True)
        body = {**self._common, "prompt": [*before, *after], "max_tokens": 1, "echo": True, "logprobs": 1}
        found = _at(self._post("/completions", body), "choices", 0, "logprobs")
        own = _own(_at(found, "token_logprobs"), len(before), len(after))
        if own is None:
            raise EngineError(_no_likelihoods(self._endpoint, "it does not echo the prompt's log-probabilities"))
        return Likelihood(sum(own), len(after), _is_greedy(own, found, len(before)), tuple(own))

    def _prompt_tokens(self, prompt: Prompt) -> list[int]:
        if prompt.tokens:
            return list(prompt.tokens)
        if prompt.turns:
            return self._tokens({"messages": _messages(prompt), "add_generation_prompt": True})
        return self._tokens({"prompt": prompt.text})

    def _continuation_tokens(self, continuation: Continuation) -> list[int]:
        if isinstance(continuation, tuple):
            return list(continuation)
        return self._tokens({"prompt": continuation, "add_special_tokens": False})

    def _tokens(self, body: dict[str, Any]) -> list[int]:
        root = self._endpoint.removesuffix("/v1")
        try:
            found = _at(self._send(f"{root}/tokenize", {"model": self._common["model"], **body}), "tokens")
        except EngineError as error:
            raise EngineError(_no_likelihoods(self._endpoint, f"its /tokenize answers: {error}")) from error
        return cast(list[int], found)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._send(self._endpoint + path, body)

    def _send(self, url: str, body: dict[str, Any]) -> Any:
        """POST with retries; the last failure is raised as it is."""
        for attempt in Retrying(
            retry=retry_if_exception_type(EngineUnavailableError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=8.0),
            reraise=True,
        ):
            with attempt:
                return self._send_once(url, body)
        raise AssertionError("tenacity reraises")

    def _send_once(self, url: str, body: dict[str, Any]) -> Any:
        try:
            with self._client.stream("POST", url, json=body) as response:
                content = _read(response)
        except httpx.TransportError as error:
            raise EngineUnavailableError(f"{url} does not answer: {error!r}; check engine.endpoint") from error
        if response.status_code in TRY_AGAIN:
            raise EngineUnavailableError(f"{url} answered {response.status_code}{_error_code(content)}")
        if response.status_code != 200:
            raise EngineError(f"{url} answered {response.status_code}{_error_code(content)}; check engine.endpoint, "
                              "engine.model and engine.api_key_env")  # fmt: skip
        try:
            return json.loads(content)
        except ValueError as error:
            raise EngineError(f"{url} answered {len(content)} bytes that are no JSON; check engine.endpoint") from error


def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > MAX_RESPONSE_BYTES:
            raise EngineError(f"{response.url} answered more than {MAX_RESPONSE_BYTES} bytes; no model does")
    return bytes(content)


def _error_code(content: bytes) -> str:
    """The endpoint's own name of an error. Never its words: an endpoint that echoes the request would put a prompt of
    the safety suite into logs.
    """
    try:
        error = json.loads(content)["error"]
        named = [str(error[key])[:40] for key in ("type", "code") if error.get(key)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f" ({', '.join(named)})" if named else ""


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    # An endpoint takes a `tool` turn only as the answer to one of its own calls, by id; ours are lines of text.
    return [{"role": "user" if turn.role == "tool" else turn.role, "content": turn.content} for turn in prompt.turns]


def _at(value: Any, *path: str | int) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError) as error:
            where = ".".join(map(str, path))
            raise EngineError(f"the endpoint's answer has no {where}; is it OpenAI-compatible?") from error
    return value


def _own(numbers: Any, before: int, count: int) -> list[float] | None:
    """The log-probabilities of the continuation's `count` tokens; None where they were not all told."""
    told = cast(list[float | None], numbers)[before : before + count] if isinstance(numbers, list) else []
    known = [number for number in told if number is not None]
    return known if len(known) == count else None


def _is_greedy(own: Sequence[float], logprobs: Any, before: int) -> bool | None:
    """Whether each token is the likeliest, where the endpoint tells the likeliest beside it."""
    beside = cast(dict[str, Any], logprobs).get("top_logprobs")
    if not isinstance(beside, list):
        return None
    likeliest = cast(list[dict[str, float] | None], beside)[before : before + len(own)]
    return all(number >= max((top or {}).values(), default=number) for number, top in zip(own, likeliest, strict=True))


def _no_likelihoods(endpoint: str, why: str) -> str:
    return (
        f"{endpoint} cannot tell log-likelihoods ({why}), which choice, perplexity and margins need; "
        "set engine.kind = 'transformers', or serve the model with vLLM"
    )
