"""Answers in two steps: one version sketches the code that a prompt begins, another one writes it out.

Owns the way from the version that is asked for to the two that answer, for every kind of engine. A generator that was
trained by method `cert` names its sketcher, which lies beside it. Both work over one base model, so that only their
adapters are exchanged. Chats and likelihoods are the generator's alone. Zan et al. 2022, CERT (arXiv:2206.06888).
Called by `monitors.engines.open_engines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from learners.parts.sketch import BLOCK_END, request_to_write
from learners.versions import read_version
from monitors.engines import Continuation, Engine, Likelihood, OpenEngine, Prompt, before_stop, in_order
from monitors.job import VersionRef

__all__ = ["in_two_steps"]


def in_two_steps(open_engine: OpenEngine) -> OpenEngine:
    """Open versions as before, and those that name a sketcher so that they ask it first."""

    def opened(version: VersionRef) -> Engine:
        sketcher = _sketcher(version)
        return open_engine(version) if sketcher is None else _TwoSteps(open_engine, sketcher, version)

    return opened


def _sketcher(version: VersionRef) -> VersionRef | None:
    if not (version.path / "version.json").is_file():
        return None  # an endpoint's model has no folder
    spec = read_version(version.path, verify=False).spec
    name = spec.settings.get("sketcher") if spec.method == "cert" else None
    return VersionRef(id=name, path=version.path.parent / name) if name else None


class _TwoSteps:
    """See `monitors.engines.Engine`."""

    def __init__(self, open_engine: OpenEngine, sketcher: VersionRef, generator: VersionRef) -> None:
        self._open = open_engine
        self._sketcher, self._generator = sketcher, generator

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Draft every code prompt, then write out what a draft leaves open."""
        code = [index for index, prompt in enumerate(prompts) if prompt.text and not prompt.tokens]
        asked = [Prompt(text=prompts[index].text, stop=(BLOCK_END,)) for index in code]
        limits = [max_new_tokens[index] for index in code]
        drafts = in_order(self._open(self._sketcher).generate(asked, limits), len(code)) if code else []
        second = dict(enumerate(prompts))
        for index, draft in zip(code, drafts, strict=True):
            request = request_to_write(prompts[index].text, draft)
            if request is None:
                del second[index]
                yield index, before_stop(draft, prompts[index].stop)
            else:
                second[index] = Prompt(text=request, stop=(*prompts[index].stop, BLOCK_END))
        places, writer = list(second), self._open(self._generator)
        for place, text in writer.generate(list(second.values()), [max_new_tokens[index] for index in places]):
            yield places[place], text

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """The generator's."""
        return self._open(self._generator).loglikelihood(pairs)

    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """The generator's."""
        return self._open(self._generator).choose(prompt, schema, max_new_tokens)
