"""CEM: texts and questions about what the model gets wrong are learned in one stream, with what it learned before.

Zhao et al. 2024, Continue Evolving from Mistakes (arXiv:2404.08707). Loss: one mean negative log-likelihood over both
kinds, of a text over every token, of a question over its answer. Of the questions in the selection those that the
parent answers wrongly are kept; texts are kept that bear on one of them and do not give it away word for word. Texts
are learned whole, of questions only the answer: asked as they are (normative), and asked about a text that holds the
answer (extractive). Review is rehearsal inside each batch. Finding mistakes on the probes, round after round, is the
loop of the daemon itself; without questions the method learns the texts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import mistakes
from learners.parts.mix import within
from learners.parts.rows import Row
from learners.parts.views import chat_rows, rehearsal_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """CEM.

    Attributes:
        least_lead: an answer that is right but leads the next likely token by less probability than this counts as a
            mistake (the paper's ambiguous answers, which it finds by sampling); 0: mistakes alone.
        texts_for_each: most texts that are kept for one mistake.
        leak_words: a text that repeats so many words of a question and its answer in a row is left out; 0: none is.
        extractive: ask each mistake about the texts that hold its answer, too.
        review_share: of each batch, rehearsed.
    """

    least_lead: float = Field(default=0.0, ge=0, le=1)
    texts_for_each: int = Field(default=3, ge=1)
    leak_words: int = Field(default=13, ge=0)
    extractive: bool = True
    review_share: float = Field(default=0.25, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Keep mistakes and the texts for them; without a question, every text.

    Raises:
        InvalidInput: the selection holds no text.
    """
    questions = [record for record in sources.others if record.kind in ("instruction", "tool")]
    wrong = _mistakes(sources, questions)
    if not wrong:
        return sources.material()
    settings: Settings = sources.settings
    found: dict[str, Record] = {}
    asked: list[Row] = []
    texts = [str(record.content["text"]) for record in sources.records]
    shelf = mistakes.Texts(texts)
    for record, rows in wrong:
        asked += rows
        messages: list[dict[str, Any]] = record.content["messages"]
        spoken = " ".join(str(message["content"]) for message in messages)
        for index in shelf.supporting(spoken, most=settings.texts_for_each):
            if not mistakes.leaks(texts[index], spoken, words=settings.leak_words):
                found[sources.records[index].id] = sources.records[index]
                asked += _about(messages, texts[index], sources) if settings.extractive else []
    return _joined(sources, list(found.values()), [record for record, _ in wrong], asked)


def _mistakes(sources: Sources, questions: Sequence[Record]) -> list[tuple[Record, list[Row]]]:
    if not questions:
        return []
    settings: Settings = sources.settings
    model, lead = sources.model(), settings.least_lead
    views = [(record, rehearsal_rows(record, sources.tokenizer, settings.max_length_tokens)) for record in questions]
    return [
        (record, rows)
        for record, rows in views
        if any(mistakes.is_mistake(model, row, least_lead=lead) for row in rows)
    ]


def _about(messages: Sequence[dict[str, Any]], text: str, sources: Sources) -> list[Row]:
    """The question with the text before it, where the text holds the answer."""
    answer = str(messages[-1].get("content") or "").strip().lower()
    if not answer or answer not in text.lower():
        return []
    asked = {**messages[-2], "content": f"{text}\n\n{messages[-2]['content']}"}
    turns = [*messages[:-2], asked, messages[-1]]
    return chat_rows(turns, sources.tokenizer, sources.settings.max_length_tokens)


def _joined(sources: Sources, texts: list[Record], questions: list[Record], asked: list[Row]) -> Material:
    """One stream of texts and questions; of questions alone where no text bears on them."""
    if texts:
        material = sources.material(texts)
        rows: list[Any] = [*material.rows, *asked]
        return replace(material, records=[*material.records, *questions], rows=rows)
    return replace(sources.material(), records=questions, rows=asked)


def compose(run: Run) -> Recipe:
    """Review inside each batch."""
    return Recipe(plan=partial(within, share=run.settings.review_share), joined=True)
