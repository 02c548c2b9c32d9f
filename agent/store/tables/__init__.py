"""Every table of the store, as typed ORM classes; rows of these classes are what the store's functions return.

Owns the shape of the data, one file for each group; holds no queries. A returned row is a reading: it stays usable
after its transaction ended, and assigning to it is refused at flush (`agent.store` installs that guard), because every
change goes through a function that also records an event. Changing a table here needs a migration beside it
(`migrations/versions`); a test compares the two.
"""

from agent.store.columns import Base, now
from agent.store.tables.control import Command, Event, Pause
from agent.store.tables.cycles import Cycle, CycleState, Decision, GapRow, Lesson, Plan, VerdictRow
from agent.store.tables.forgetting import ForgetCertificate, ForgetRequest, ForgetState
from agent.store.tables.intake import Intake, IntakeFileRow, PooledRecord, QuarantineRow, RecordState
from agent.store.tables.jobs import Attempt, Job, JobState
from agent.store.tables.norms import Norm, NormChange, NormChangeKind
from agent.store.tables.versions import Deployment, MeasurementRow, Version, VersionState

__all__ = [
    "Attempt", "Base", "Command", "Cycle", "CycleState", "Decision", "Deployment", "Event", "ForgetCertificate",
    "ForgetRequest", "ForgetState", "GapRow", "Intake", "IntakeFileRow", "Job", "JobState", "Lesson", "MeasurementRow",
    "Norm", "NormChange", "NormChangeKind", "Pause", "Plan", "PooledRecord", "QuarantineRow", "RecordState",
    "VerdictRow", "Version", "VersionState", "now",
]  # fmt: skip
