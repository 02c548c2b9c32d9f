"""What an audit holds a candidate back for: canaries that one training record was enough to give away.

Owns that rule and what a person is told. Suites ask what a version can do; a secret that it says after it was trained
once is no ability, and stands against a promotion whatever was won. Carlini et al. 2019 (`monitors.privacy.canaries`)
read exposure as a report; here it holds, and a canary trained more often than once is only reported, since repetition
is what memorises. Called by the judging step.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitors.audit_job import Canaries
from monitors.gate.verdict import Verdict

__all__ = ["exposed", "withheld"]

_SLICE = "audit, slice 'canaries trained once'"
_REMEDY = (
    "deduplicate the data, train fewer epochs or at a lower rank, or take the records back with `cld forget`; "
    "[gate] hold_exposed_canaries = false only reports it"
)


def exposed(found: Canaries | None) -> tuple[str, ...]:
    """What stands against a version whose data hold canaries that were planted once, a sentence each.

    Args:
        found: what the audit measured; None where it could not, and then that stands against the version.
    """
    if found is None:
        return (
            f"{_SLICE}: the data hold some and the audit that measures their exposure is missing; `cld logs` says "
            f"why it failed, [gate] hold_exposed_canaries = false goes on without it",
        )
    over = [row for row in found.planted if row.times == 1 and row.exposure_bits > found.limit_bits]
    return tuple(
        f"{_SLICE}: {row.name} has {row.exposure_bits:.1f} bits of exposure, above {found.limit_bits:.1f} "
        f"(the mean of never-trained ones and three standard deviations): {_REMEDY}"
        for row in over
    )


def withheld(verdict: Verdict, against: Sequence[str]) -> Verdict:
    """The verdict with what else stands against a promotion; more items could not make that go away."""
    if not against:
        return verdict
    before = () if verdict.verdict == "promote" else verdict.reasons
    word = "reject" if verdict.verdict == "reject" else "hold"
    return verdict.model_copy(update={"verdict": word, "reasons": (*before, *against), "more": ()})
