"""An engine as lm-evaluation-harness sees a model: its tokenization and its limits, our computation.

Owns the way from a request of the harness to tokens, which follows the harness's own `hf` backend to the token, so that
scores are the same; never computes anything. Imported by workers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, has_bos_prefix, normalize_gen_kwargs, resolve_max_length
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from transformers import AutoConfig

from learners.failures import InvalidInput
from learners.weights import read_tokenizer
from monitors.engines import Engine, EngineError, Likelihood, Prompt, in_order

__all__ = ["EngineLM", "Response"]

Response = tuple[float, bool] | float | str
"""What a request is answered with: log-likelihood and whether it is greedy, the sum over a document, or a text."""

Window = tuple[list[int], list[int]]

DEFAULT_TOKENS = 2048
ANSWER_TOKENS = 256
_GREEDY_KEYS = frozenset({"do_sample", "until", "max_gen_toks", "temperature", "top_p", "top_k"})


class EngineLM(TemplateLM):
    """The harness's model interface over an engine; `answers` is the same, answer by answer.

    Args:
        engine: opened on a version.
        weights: folder of that version's tokenizer and configuration.
    """

    def __init__(self, engine: Engine, weights: Path) -> None:
        super().__init__()
        self._engine = engine
        self.tokenizer: Any = read_tokenizer(weights)
        config: Any = AutoConfig.from_pretrained(weights, local_files_only=True, trust_remote_code=False)
        self.max_length = int(resolve_max_length(config, self.tokenizer, default=DEFAULT_TOKENS))
        self._bos = str(self.tokenizer.decode(self.prefix_token_id))
        self._encoded = lru_cache(maxsize=256)(self._encode)  # the choices of a question share its text

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before a text without context."""
        start = self.tokenizer.bos_token_id
        return self.eot_token_id if start is None else int(start)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Tokens of a text; special tokens as the tokenizer adds them, unless the text begins with one."""
        return list(self._encoded(string, add_special_tokens))

    def answers(self, requests: Sequence[Instance]) -> Iterator[tuple[int, Response]]:
        """Yield (index of the request, response) as soon as the engine has computed it.

        Raises:
            InvalidInput: a request samples, or is longer than the model's context.
        """
        written = [index for index, request in enumerate(requests) if request.request_type == "generate_until"]
        scored = sorted(set(range(len(requests))) - set(written))
        yield from self._scores({index: requests[index] for index in scored})
        asked = [self._writing(*cast(tuple[str, dict[str, Any]], requests[index].args)) for index in written]
        for place, text in self._engine.generate([prompt for prompt, _ in asked], [limit for _, limit in asked]):
            yield written[place], text

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """See `lm_eval.api.model.LM.loglikelihood`."""
        return cast(list[tuple[float, bool]], in_order(self.answers(requests), len(requests)))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """See `lm_eval.api.model.LM.loglikelihood_rolling`."""
        return cast(list[float], in_order(self.answers(requests), len(requests)))

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """See `lm_eval.api.model.LM.generate_until`."""
        return cast(list[str], in_order(self.answers(requests), len(requests)))

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        pairs = [self._pair((before, after)) for _, before, after in requests]
        return [_told(found) for found in in_order(self._engine.loglikelihood(pairs), len(pairs))]

    def _encode(self, string: str, add_special_tokens: bool | None) -> tuple[int, ...]:
        if add_special_tokens is None and has_bos_prefix(string, self._bos):
            add_special_tokens = False
        more = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return tuple(self.tokenizer.encode(string, **more))

    def _scores(self, requests: Mapping[int, Instance]) -> Iterator[tuple[int, Response]]:
        waiting = {index: _Waiting(request, self._windows(request)) for index, request in requests.items()}
        places = [(index, place) for index, item in waiting.items() for place in range(len(item.windows))]
        yield from ((index, item.response()) for index, item in waiting.items() if not item.windows)
        pairs = [self._pair(waiting[index].windows[place]) for index, place in places]
        for number, likelihood in self._engine.loglikelihood(pairs):
            index, place = places[number]
            item = waiting[index]
            item.found[place] = likelihood
            if len(item.found) == len(item.windows):
                yield index, item.response()

    def _windows(self, request: Instance) -> list[Window]:
        """What is scored after what: one pair, or for a whole document as many as the context needs."""
        if request.request_type == "loglikelihood_rolling":
            tokens = self.tok_encode(request.args[0])
            windows = get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, context_len=1)
            return [make_disjoint_window(window) for window in windows]
        context, continuation = cast(tuple[str, str], request.args)
        if context:
            return [self._encode_pair(context, continuation)]
        after = self.tok_encode(continuation, add_special_tokens=False)
        return [([self.prefix_token_id], after) if after[:1] != [self.prefix_token_id] else (after[:1], after[1:])]

    def _pair(self, window: Window) -> tuple[Prompt, tuple[int, ...]]:
        """What the engine is asked: a context that is too long loses its beginning."""
        before, after = window
        if not 0 < len(after) <= self.max_length:
            raise InvalidInput(f"a continuation has {len(after)} tokens; 1 to {self.max_length} can be scored")
        return Prompt(tokens=tuple(before[-(self.max_length + 1 - len(after)) :])), tuple(after)

    def _writing(self, context: str, options: Mapping[str, Any]) -> tuple[Prompt, int]:
        wanted: dict[str, Any] = dict(normalize_gen_kwargs(dict(options), ANSWER_TOKENS))
        odd = sorted(wanted.keys() - _GREEDY_KEYS)
        if wanted["do_sample"] or odd:
            raise InvalidInput(f"the task generates with {dict(options)!r:.200}; cld measures greedily, without {odd}")
        limit = int(wanted["max_gen_toks"])
        if limit >= self.max_length:
            raise InvalidInput(f"the task writes {limit} tokens; the model's context has {self.max_length}")
        end = str(self.tokenizer.decode(self.eot_token_id, skip_special_tokens=False))
        stop = tuple(handle_stop_sequences(wanted["until"], eos=end))
        tokens = tuple(self.tok_encode(context)[-(self.max_length - limit) :])
        return Prompt(text=context, tokens=tokens or (self.prefix_token_id,), stop=stop), limit


@dataclass(slots=True)
class _Waiting:
    """A scored request and what has been computed of it."""

    request: Instance
    windows: list[Window]
    found: dict[int, Likelihood] = field(default_factory=dict[int, Likelihood])

    def response(self) -> Response:
        parts = [self.found[place] for place in range(len(self.windows))]
        return sum(part.logprob for part in parts) if len(parts) != 1 or self._is_document() else _told(parts[0])

    def _is_document(self) -> bool:
        return self.request.request_type == "loglikelihood_rolling"


def _told(found: Likelihood) -> tuple[float, bool]:
    if found.greedy is None:
        raise EngineError("the engine does not tell the likeliest token, which lm-eval needs; use engine.kind = 'vllm'")
    return found.logprob, found.greedy
