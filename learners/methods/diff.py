"""Training on differences: of a document that was learned before, only what is new in it is learned.

Jang et al. 2022, TemporalWiki (arXiv:2204.14211). A document is known again by its source and title. The version keeps
the text of every document, so that the next one can be compared with it; the probes made from the next one say whether
they ask for what changed or for what stayed (`monitors.gaps.changes`).
"""

from __future__ import annotations

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import snapshots
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """Training on differences.

    Attributes:
        compare: False learns every document whole, which is plain fine-tuning, and keeps the texts nevertheless.
        smallest_words: a difference of fewer words is no news.
    """

    compare: bool = True
    smallest_words: int = Field(default=1, ge=1)


def prepare(sources: Sources) -> Material:
    """Cut known documents down to what is new; keep the new texts.

    Raises:
        InvalidInput: not one document says anything new.
    """
    settings: Settings = sources.settings
    known = snapshots.read(sources.memory_folder)
    texts = {key: str(one.content["text"]) for one in sources.records if (key := snapshots.key_of(one))}
    material = sources.material([news for one in sources.records if (news := _news(one, known, settings))])
    if settings.epochs:
        snapshots.write(sources.memory_folder, {**known, **texts})
    return material


def _news(record: Record, known: dict[str, str], settings: Settings) -> Record | None:
    old = known.get(snapshots.key_of(record) or "")
    if old is None or not settings.compare:
        return record
    text = snapshots.added(old, str(record.content["text"]))
    if len(text.split()) < settings.smallest_words:
        return None
    return record.model_copy(update={"content": {**record.content, "text": text}})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage; what is new is learned."""
    return Recipe()
