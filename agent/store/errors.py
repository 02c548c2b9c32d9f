"""What the store refuses, below the classes of `agent.errors` (whose exit codes they inherit).

StoreError      StoreMissing       no database at that place yet
                SchemaTooOld       written by an older cld: `cld start` migrates it
                StoreFull          no space left for the database
                StoreUnreachable   its server does not answer, or its file cannot be opened
CldError        UnnamedChange      a change without a name (promise P10)
                AccountingError    what was read does not add up (promise P9)
Refused         Conflict           a record-once fact was given twice with different content
                IllegalTransition  that arrow is not in the cycle's table
                StaleState         the cycle (or record, or job) has moved on meanwhile
                  ActiveCycleExists  there is at most one active cycle (promise P5)
                MoveRefused        that version may not serve (promises P1, P3, P4)
                GenerationMoved  StaleGeneration  the deployment has moved meanwhile
"""

from __future__ import annotations

from agent.errors import CldError, GenerationMoved, Refused, StoreError

__all__ = [
    "AccountingError",
    "ActiveCycleExists",
    "Conflict",
    "IllegalTransition",
    "MoveRefused",
    "SchemaTooOld",
    "StaleGeneration",
    "StaleState",
    "StoreFull",
    "StoreMissing",
    "StoreUnreachable",
    "UnnamedChange",
]


class StoreMissing(StoreError):
    """There is no database yet; `cld init` makes one."""


class SchemaTooOld(StoreError):
    """The database was written by an older cld; `cld start` migrates it."""


class StoreFull(StoreError):
    """The disk under the database is full; nothing of the transaction was kept."""


class StoreUnreachable(StoreError):
    """The database's server does not answer, or its file cannot be opened; it may pass."""


class UnnamedChange(CldError):
    """A state change came without the name of who made it."""


class AccountingError(CldError):
    """What an intake read is not what it kept, found twice or quarantined."""


class Conflict(Refused):
    """A fact that is recorded once was given again with other content."""


class IllegalTransition(Refused):
    """The cycle's table has no such arrow."""


class StaleState(Refused):
    """The row is no longer in the state the caller saw."""


class ActiveCycleExists(StaleState):
    """A cycle is already under way."""


class MoveRefused(Refused):
    """The version may not be made current."""


class StaleGeneration(GenerationMoved):
    """The deployment has moved since the caller looked.

    Attributes:
        current: generation that stands now.
    """

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(
            f"the deployment stands at generation {current}, not {expected}: somebody moved it meanwhile; "
            "look with `cld status` and decide again"
        )
        self.current = current
