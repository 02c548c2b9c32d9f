"""A root whose serving version has learned some records, with a scripted proof of forgetting them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from agent.operators.commands import Answer, ask
from agent.store import forgetting, intakes, jobs, pool
from agent.work.jobs import JobRunner
from learners.records import Kind, Record, record_id
from monitors.forgetting_job import ByVersion, Extraction, ForgottenMembership, Neighbours, ProveResult
from monitors.intake_job import IntakeFile, IntakeResult
from tests.agent.fake_jobs import FakeJobs
from tests.agent.operating import Operated
from tests.agent.steps.cycle_world import Play

GOOD = ProveResult(
    records=8,
    silent=0,
    fills=63,
    exposure=ByVersion(clean=1.3, before=6.0, after=1.5),
    suppression=ByVersion(clean=1.5, before=0.1, after=1.2),
    expected_bits=1.36,
    deviation_bits=1.26,
    extraction=Extraction(tested=8, said=ByVersion(clean=0, before=8, after=0), records=()),
    membership=ForgottenMembership(members=8, lookalikes=16, before=1.0, after=0.53, error=0.13),
    neighbours=Neighbours(
        records=8, recall=ByVersion(before=1.0, after=1.0), loglikelihood=ByVersion(before=-0.1, after=-0.2)
    ),
    seconds=1.0,
)
"""What a version that has forgotten, and only that, shows."""


def note(number: int, source: str = "inbox") -> Record:
    """A record with a code of its own."""
    content = {"text": f"The locker of room {chr(65 + number)} opens with the code {4000 + 37 * number}."}
    return Record(id=record_id("text", content), source=source, kind="text", content=content, origin="notes.txt")


IDS = [note(number).id for number in range(8)]
"""What `v1` of the fixture `taught` has learned."""


class KeptJobs(FakeJobs):
    """Fake workers whose answers stand in the jobs' rows, as those of real ones do, with what they cost."""

    def ensure(
        self, job_id: str, package: str, kind: str, build: Callable[[Path], BaseModel], *, cycle: str | None, step: str
    ) -> dict[str, Any] | None:
        """As `JobRunner.ensure`."""
        answer = super().ensure(job_id, package, kind, build, cycle=cycle, step=step)
        if answer is not None:
            with self.store.write() as tx:
                jobs.finish(tx, job_id, answer, {"wall_seconds": 5.0})
        return answer


class Forgetful(Play):
    """Plays cycles that learn notes, and cycles that forget some of them.

    Attributes:
        proof: what the proving worker answers.
    """

    def __init__(self, world: Operated) -> None:
        super().__init__(world)
        self.jobs = KeptJobs(world.layout, world.store, self.jobs.work)
        self.context = replace(self.context, jobs=cast(JobRunner, self.jobs))
        self.proof = GOOD
        self.configure(approval={"stages": ()})
        self.jobs.work["proving"] = lambda *_: self.proof.model_dump(mode="json")
        self.jobs.work["training"] = lambda spec, output: {**self._train(spec, output), "seed": spec.seed}

    def take_in(self, records: list[Record], path: str = "/inbox/notes.txt", kind: Kind = "text") -> intakes.Accounting:
        """Records arrive in the pool, read from one file."""
        with self.world.store.write() as tx:
            intake = intakes.claim(tx, records[0].source, [(path, 10, 20)])
            file = IntakeFile(path=path, size_bytes=10, mtime_ns=20, sha256="f" * 64, read=len(records),
                              kept=len(records), duplicate=0, quarantined=0)  # fmt: skip
            return intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])

    def teach(self, count: int = 8) -> list[str]:
        """`v1` learns notes and serves; returns their ids."""
        ids = [note(number).id for number in range(count)]
        self.take_in([note(number) for number in range(count)])
        self.learn_waiting()
        return ids

    def learn_waiting(self) -> None:
        """A cycle learns all that waits, to its end."""
        self.tell("cycle_run")
        self.until("done")

    def tell(self, verb: str, target: str | None = None, *, dry_run: bool = False, **more: Any) -> Answer:
        """A command of ada's."""
        args = {"target": target, "why": "because", **more}
        return ask(self.world.store, self.world.layout, self.context.config, verb, args, "ada", dry_run=dry_run)

    def forget(self, *ids: str, dry_run: bool = False, **more: Any) -> Answer:
        """Ask for records to be forgotten."""
        return self.tell("forget", records=list(ids), dry_run=dry_run, **more)

    def forgotten(self, *ids: str, **more: Any) -> forgetting.ForgetRequest:
        """Ask, approve and wait for the end; returns the newest request."""
        assert self.forget(*ids, **more).outcome == "applied"
        assert self.tell("approve").outcome == "applied"
        self.until("done")
        return self.request()

    def request(self) -> forgetting.ForgetRequest:
        """The newest request."""
        with self.world.store.read() as tx:
            return forgetting.listing(tx, limit=1)[0]

    def certificate(self) -> dict[str, Any]:
        """The certificate of the newest request."""
        with self.world.store.read() as tx:
            found = forgetting.certificate_of(tx, self.request().id)
        assert found is not None
        return found.document

    def states(self, *ids: str) -> list[str]:
        """States of some records, in the order of `ids`."""
        with self.world.store.read() as tx:
            found = {row.id: row.state for row in pool.get(tx, ids)}
        return [found[record] for record in ids]
