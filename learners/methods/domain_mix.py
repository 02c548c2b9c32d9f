"""A mixture of domains: every source gets its share of the batches, and a slice of general text keeps the rest.

Azerbayev et al. 2023, Llemma (arXiv:2310.10631): 95 % of the domain's sources in fixed proportion and 5 % general data
as a regulariser, one warm-up and a cosine to a thirtieth of the peak. Where the proportion is not known, mixtures are
tried in short runs and the one that teaches most is taken, as Llemma chose its own. Sources are shuffled together,
never learned one after another: of the orders that Yildiz et al. 2024 compare (arXiv:2402.17400), a random one
transfers best. PLLaMa (Yang et al. 2024, arXiv:2401.01600) is this method with one source, and then a short stage of
instructions with `replay`. Loss: the plain one; the general slice is the replay memory, not a web corpus. A person who
reads a plan before it is trained is asked for by `[approval] stages`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Recipe, Run
from learners.parts import row_numbers
from learners.parts.mix import weighted, weights_of
from learners.parts.schedule import rewarm_redecay, warm_hold_decay

__all__ = ["Settings", "compose"]

_PROBE_ROWS = 16
_FILE = "mixture.json"


class Settings(contract.Settings):
    """A mixture of domains.

    Attributes:
        source_weights: weight of each source by name, in any unit; sources that are not named weigh as much as they
            have rows.
        general_share: of each batch, rehearsed from the replay memory.
        pilot_mixtures: two or more `source_weights`, of which short runs find the one that is used. What they found
            is kept in the version's `memory/mixture.json`.
        pilot_target: the source whose texts are to become likely; some of its rows are kept out of the short runs and
            measured. Empty: of all sources.
        pilot_steps: of each short run, at the peak of the learning rate and without general text.
        schedule: `cosine` as in the paper; `hold` keeps the project's own course of the learning rate. Without weights
            and share that is plain fine-tuning.
        warm_share: of the run that warms up.
        floor: last learning rate, as a factor of the peak.
    """

    source_weights: dict[str, float] = Field(default_factory=dict[str, float])
    general_share: float = Field(default=0.05, ge=0, lt=1)
    pilot_mixtures: tuple[dict[str, float], ...] = ()
    pilot_target: str = ""
    pilot_steps: int = Field(default=25, ge=1)
    schedule: Literal["cosine", "hold"] = "cosine"
    warm_share: float = Field(default=0.02, ge=0, le=1)
    floor: float = Field(default=1 / 30, ge=0, le=1)

    @field_validator("source_weights", "pilot_mixtures")
    @classmethod
    def _not_negative(
        cls, given: dict[str, float] | tuple[dict[str, float], ...]
    ) -> dict[str, float] | tuple[dict[str, float], ...]:
        for weights in (given,) if isinstance(given, dict) else given:
            for source, weight in weights.items():
                if weight < 0:
                    raise ValueError(f"the weight of source {source!r} is {weight!r}; a weight is 0 or more")
        return given

    @model_validator(mode="after")
    def _one_way_to_a_mixture(self) -> Settings:
        if len(self.pilot_mixtures) == 1 or (self.pilot_mixtures and self.source_weights):
            raise ValueError(
                f"pilot_mixtures names {len(self.pilot_mixtures)} mixture(s) and source_weights "
                f"{len(self.source_weights)} source(s); name two or more mixtures to choose from, or one in "
                "source_weights"
            )
        return self


class _Mixture(NamedTuple):
    """What is used, and the loss of each mixture that was tried, in nats."""

    weights: Mapping[str, float]
    losses: list[float]


def compose(run: Run) -> Recipe:
    """A mix and a schedule; nothing is added to the loss.

    Raises:
        InvalidInput: a mixture gives no source of the selection any weight, or nothing is of the pilots' target.
    """
    settings: Settings = run.settings
    cosine = partial(rewarm_redecay, warm_share=settings.warm_share, floor=settings.floor)
    groups = _rows_by_source(run)
    for weights in (settings.source_weights, *settings.pilot_mixtures):
        _check_something_weighs(groups, weights)
    mixture = _Mixture(settings.source_weights, [])
    if settings.pilot_mixtures and settings.epochs:
        mixture = _tried(run, groups)
    return Recipe(
        plan=partial(weighted, groups=groups, weights=mixture.weights, share=settings.general_share),
        joined=True,
        schedule=cosine if settings.schedule == "cosine" else warm_hold_decay,
        after_training=(partial(_write, run, mixture),) if mixture.losses else (),
    )


def _rows_by_source(run: Run) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for record, rows in row_numbers.of_records(run):
        groups.setdefault(record.source, []).extend(rows)
    return groups


def _check_something_weighs(groups: Mapping[str, list[int]], weights: Mapping[str, float]) -> None:
    if not any(weights_of(groups, weights).values()):
        raise InvalidInput(
            f"by the mixture {dict(weights)!r} no source of this selection has a weight above 0, so nothing would be "
            f"learned; sources: {', '.join(groups)}"
        )


def _tried(run: Run, groups: Mapping[str, list[int]]) -> _Mixture:
    """The mixture after which the target is likeliest.

    Raises:
        InvalidInput: nothing in the selection is of the target's source.
    """
    from learners.parts.pilot import after_mixture

    settings: Settings = run.settings
    target = (
        groups.get(settings.pilot_target) if settings.pilot_target else [row for own in groups.values() for row in own]
    )
    if not target:
        raise InvalidInput(
            f"pilot_target is {settings.pilot_target!r}, and no record is of that source; sources: {', '.join(groups)}"
        )
    probe = target[1 :: max(2, len(target) // _PROBE_ROWS)][:_PROBE_ROWS] or target
    learned = {
        name: [run.new[row] for row in own if row not in probe] or [run.new[row] for row in own]
        for name, own in groups.items()
    }
    losses = [
        after_mixture(
            run.model,
            learned,
            weights_of(groups, weights),
            [run.new[row] for row in probe],
            steps=settings.pilot_steps,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            seed=run.seed,
        )
        for weights in settings.pilot_mixtures
    ]
    return _Mixture(settings.pilot_mixtures[losses.index(min(losses))], losses)


def _write(run: Run, mixture: _Mixture) -> None:
    run.memory_folder.mkdir(parents=True, exist_ok=True)
    (run.memory_folder / _FILE).write_text(json.dumps(mixture._asdict(), sort_keys=True) + "\n", encoding="utf-8")
