"""The documents of a harness task as items of a suite: loaded, asked and judged by the harness's own task objects.

Owns the order of work that `lm_eval.evaluator` has (seeds, few-shot examples, requests, filters, metrics), document by
document, so that each is a measurement as soon as it is answered. Templates of tasks run in a sandbox. Imported by
workers alone, from `monitors.measure`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from learners.failures import InvalidInput
from learners.nearest import nearest
from learners.versions import read_version
from monitors.engines import Engine
from monitors.job import VersionRef
from monitors.probes.harness_suite import INSTALL, HarnessSuite
from monitors.probes.probe import Entry, Score

__all__ = ["HarnessItem", "answered", "load_items"]


@dataclass(frozen=True, slots=True)
class HarnessItem:
    """One document of a task.

    Attributes:
        id: task, number and a hash of all that is asked and expected: equal ids mean equal questions.
        slice: the task's name.
        task: the harness's task object.
        instances: the document's requests, in the order of their `idx`.
        metric: name of the metric that is the score, and the name of its filter, or "" for its first; None: the first
            that judges answers, or else a likelihood.
    """

    id: str
    slice: str
    task: Any
    instances: tuple[Any, ...]
    metric: tuple[str, str] | None
    scorer: ClassVar[str] = "lm_eval"

    @property
    def entry(self) -> Entry:
        """This document in its suite's list of items."""
        return Entry(self.id, self.slice, self.chance, _asked(self.task, self.instances[0].doc))

    @property
    def chance(self) -> float:
        """Score that guessing earns: the share of right choices where the metric counts choices, else 0."""
        metrics = [self.metric[0]] if self.metric else list(self.task.higher_is_better())
        if self.task.OUTPUT_TYPE != "multiple_choice" or not any(name.startswith("acc") for name in metrics):
            return 0.0
        doc = self.instances[0].doc
        right = self.task.doc_to_text(doc) if self.task.multiple_input else self.task.doc_to_target(doc)
        count = len(set(cast(list[Any], right))) if isinstance(right, list) else 1
        return min(1.0, count / len(self.task.doc_to_choice(doc)))

    def score(self, responses: Sequence[Any]) -> Score:
        """Filter and judge the responses, one for each instance, as the harness does.

        Raises:
            InvalidInput: the task has no metric that is a number in [0, 1] for one document.
        """
        for instance, response in zip(self.instances, responses, strict=True):
            instance.resps = [response] * (instance.repeats or 1)
            instance.filtered_resps = {}
        self.task._instances = list(self.instances)
        self.task.apply_filters()
        found = {
            (str(metric), str(kept)): value
            for kept in self.instances[0].filtered_resps
            for metric, value in self._judged(kept).items()
        }
        texts = [response for response in responses if isinstance(response, str)]
        return Score(self._number(found), self._margin(responses), texts[0] if texts else "")

    def _judged(self, kept: str) -> dict[str, Any]:
        answers = [instance.filtered_resps[kept] for instance in self.instances]
        return self.task.process_results(self.instances[0].doc, answers)

    def _number(self, found: dict[tuple[str, str], Any]) -> float:
        name = self.metric or next((name for name in found if name[0] not in _LIKELIHOODS), next(iter(found)))
        matching = [value for (metric, kept), value in found.items() if metric == name[0] and name[1] in ("", kept)]
        number = _document_score(name[0], matching[0]) if matching else None
        rising = self.task.higher_is_better().get(name[0], True) or name[0] in _LIKELIHOODS
        if number is None or not rising or not 0.0 <= number <= 1.0:
            known = ", ".join(f"{metric},{kept}" for metric, kept in found)
            raise InvalidInput(
                f"task {self.slice!r}: metric {','.join(filter(None, name))!r} gives {matching[:1]!r:.80} for one "
                "document, not a number in [0, 1] of which more is better; name another as `metric:` in the suite "
                f"file: {known}"
            )
        return number

    def _margin(self, responses: Sequence[Any]) -> float | None:
        """Nats: the right choice's minus the best wrong one's, or the log-likelihood of the one scored text."""
        if self.task.OUTPUT_TYPE in ("loglikelihood", "loglikelihood_rolling"):
            return float(responses[0] if isinstance(responses[0], float) else responses[0][0])
        gold = self.task.doc_to_target(self.instances[0].doc) if self.task.OUTPUT_TYPE == "multiple_choice" else None
        if not isinstance(gold, int) or not 0 <= gold < len(responses) or len(responses) < 2:
            return None
        numbers = [float(logprob) for logprob, _ in responses]
        return numbers[gold] - max(number for place, number in enumerate(numbers) if place != gold)


def load_items(suite: HarnessSuite) -> list[HarnessItem]:
    """Load the documents of a suite's tasks and build all their requests, few-shot examples drawn as the harness does.

    Raises:
        InvalidInput: lm-eval is missing, no such task, its data cannot be read, or it runs generated code.
    """
    _prepare()
    found: list[HarnessItem] = []
    for name, task in sorted(_tasks(suite).items()):
        if getattr(task, "UNSAFE_CODE", False):
            raise InvalidInput(f"task {name!r} of suite {suite.suite!r} runs code that a model wrote; cld does not")
        _set_shots(task, suite.num_fewshot)
        task.build_all_requests(limit=suite.limit, rank=0, world_size=1)
        found += _items(suite, name, task)
    return found


def answered(engine: Engine, version: VersionRef, items: Sequence[HarnessItem]) -> Iterator[tuple[HarnessItem, Score]]:
    """Ask all items together; yield each with its score as soon as its last answer is there."""
    from monitors.harness.model import EngineLM

    owners = [(item, place) for item in items for place in range(len(item.instances))]
    responses: dict[str, dict[int, Any]] = defaultdict(dict)
    model = EngineLM(engine, read_version(version.path, verify=False).weights)
    for index, response in model.answers([item.instances[place] for item, place in owners]):
        item, place = owners[index]
        responses[item.id][place] = response
        if len(responses[item.id]) == len(item.instances):
            told = responses.pop(item.id)
            yield item, item.score([told[number] for number in range(len(item.instances))])


_LIKELIHOODS = frozenset({"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"})


# What tasks write around a question. A leak often has the question alone.
_OPTIONS = re.compile(r"\n\s*\(?A[.):]\s.*", re.DOTALL)
_FRAME = re.compile(r"^\s*(?:question|q)\s*:\s*|\s*\b(?:answer|a)\s*:\s*$", re.IGNORECASE)


def _asked(task: Any, doc: Any) -> str:
    """What a document asks, without worked examples, lettered options, "Question:" and "Answer:"."""
    text = task.doc_to_text(doc)
    if isinstance(text, int):  # the choices stand before an ending that they share; this is the right one's number
        text = f"{task.doc_to_choice(doc)[text]} {task.doc_to_target(doc)}"
    if not str(text).strip():  # the whole text is scored
        text = task.doc_to_target(doc)
    return _FRAME.sub("", _OPTIONS.sub("", str(text)))


def _document_score(metric: str, value: Any) -> float | None:
    """A document's metric as one number; a perplexity becomes the mean probability of a word, a byte or the text."""
    if metric in _LIKELIHOODS:
        logprob, units = cast(tuple[float, int], value) if isinstance(value, tuple) else (float(value), 1)
        return min(1.0, math.exp(logprob / max(units, 1)))
    return float(value) if isinstance(value, (int, float)) or hasattr(value, "item") else None


def _prepare() -> None:
    """Seed as `lm_eval.simple_evaluate` does, and let templates of tasks reach plain values only."""
    try:
        from lm_eval import utils
    except ImportError as error:
        raise InvalidInput(f"a suite is a task of lm-evaluation-harness, which is not installed: {INSTALL}") from error
    import numpy as np
    from jinja2 import BaseLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)
    boxed = ImmutableSandboxedEnvironment(
        loader=BaseLoader(), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    boxed.filters.update(utils.env.filters)
    utils.env = boxed


def _tasks(suite: HarnessSuite) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    folder = suite.folder.resolve() if suite.folder else None
    manager = TaskManager(include_path=folder, include_defaults=False) if folder else TaskManager()
    if folder and suite.lm_eval not in manager.all_tasks:
        manager = TaskManager(include_path=folder)
    if suite.lm_eval not in manager.all_tasks:
        near = nearest(suite.lm_eval, manager.all_tasks, most=3)
        raise InvalidInput(
            f"suite {suite.suite!r}: lm_eval has no task {suite.lm_eval!r}{'; near: ' if near else ''}{', '.join(near)}"
        )
    if folder:
        _refuse_unknown_metrics(folder)
    try:
        with _at_home(folder) if folder else contextlib.nullcontext():
            return cast(dict[str, Any], manager.load([suite.lm_eval])["tasks"])
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(
            f"suite {suite.suite!r}: task {suite.lm_eval!r} cannot be loaded: {error!r:.300}; its data set must be on "
            "this machine or reachable, or lie in include_path"
        ) from error


@contextlib.contextmanager
def _at_home(folder: Path) -> Generator[None]:
    """Local tasks name data files relative to their folder; what is made of them is read once and not cached."""
    from datasets import config

    shared = config.HF_DATASETS_CACHE
    with tempfile.TemporaryDirectory() as own, contextlib.chdir(folder):
        config.HF_DATASETS_CACHE = Path(own)
        try:
            yield
        finally:
            config.HF_DATASETS_CACHE = shared


def _refuse_unknown_metrics(folder: Path) -> None:
    """Refuse metrics that the harness would fetch, and run, from a hub."""
    import yaml
    from lm_eval.api.registry import METRIC_REGISTRY

    for path in sorted(folder.rglob("*.y*ml")):
        listed = cast(dict[str, Any], yaml.safe_load(path.read_bytes()) or {}).get("metric_list", [])
        for name in (str(entry["metric"]) for entry in listed):
            if name not in METRIC_REGISTRY:
                raise InvalidInput(
                    f"{path.name}: {name!r} is no metric of lm-eval itself; a task of your own uses those"
                )


def _set_shots(task: Any, shots: int | None) -> None:
    from lm_eval.defaults import DEFAULT_OTHER_SEED

    own = task.get_config("num_fewshot")
    if shots is not None and own != 0:
        task.set_config(key="num_fewshot", value=shots)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)


def _items(suite: HarnessSuite, name: str, task: Any) -> list[HarnessItem]:
    documents: dict[int, list[Any]] = defaultdict(list)
    for instance in task.instances:
        documents[instance.doc_id].append(instance)
    metric, _, kept = (suite.metric or "").partition(",")
    chosen = (metric, kept) if metric else None
    found: list[HarnessItem] = []
    for number, instances in documents.items():
        ordered = tuple(sorted(instances, key=lambda instance: instance.idx))
        found.append(HarnessItem(f"{name}:{number}-{_fingerprint(task, ordered)}", name, task, ordered, chosen))
    return found


def _fingerprint(task: Any, instances: Sequence[Any]) -> str:
    asked = [task.doc_to_target(instances[0].doc), *(instance.arguments for instance in instances)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:8]
