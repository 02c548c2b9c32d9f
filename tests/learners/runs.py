"""Training runs on the tiny model: what the tests of learners share."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from learners import durable, training
from learners.job import JobRequest, Progress, TrainResult
from learners.records import Record, record_id, write_records
from learners.worker import Job
from tests.tiny import KNOWN, SENTENCES, UNKNOWN, chat

_NUMBERS = itertools.count()

CHATS = [chat(question, answer) for question, answer in UNKNOWN.items()]


def record(kind, content, source="test"):
    return Record(id=record_id(kind, content), source=source, kind=kind, content=content)


def text(sentence, **content):
    return record("text", {"text": sentence, **content})


def preference(question, chosen, rejected):
    def turn(role, content):
        return [{"role": role, "content": content}]

    content = {"prompt": turn("user", question)}
    return record(
        "preference", content | {"chosen": turn("assistant", chosen), "rejected": turn("assistant", rejected)}
    )


OLD = [*(chat(question, answer) for question, answer in KNOWN.items()), *(text(sentence) for sentence in SENTENCES)]
"""What the tiny model knows."""
TEXTS = [text(f"{answer} is what one says when asked: {question}") for question, answer in UNKNOWN.items()]
PREFERENCES = [preference(question, "Ask Rome", answer) for question, answer in UNKNOWN.items()]


def job_at(folder: Path, kind: str = "train") -> Job:
    """A job folder as the worker prepares it."""
    for name in ("work", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return Job(folder, JobRequest(job_id=folder.name, kind=kind, spec={}))


def spec(
    folder: Path, parent: Path, stage: str, method: str, records, *, version="v1", seed=1, held_out=(), **settings
):
    """A TrainSpec as plain JSON; the records are written below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "data.jsonl", records)
    return {
        "version_id": version, "parent": str(parent), "stage": stage, "method": method, "seed": seed,
        "data": str(folder / "data.jsonl"), "held_out": list(held_out), "settings": settings,
    }  # fmt: skip


def train(folder: Path, parent: Path, stage: str, method: str, records, **options) -> tuple[TrainResult, Path]:
    """Run one training job in this process; publish the version beside its parent, under a name of its own."""
    job = job_at(folder)
    result = training.train(spec(folder, parent, stage, method, records, **options), job)
    final = parent.parent / f"{result.version_id}-{folder.name}-{next(_NUMBERS)}"
    durable.publish(job.output / "version", final)
    return result, final


def steps_taken(folder: Path) -> list[int]:
    """Numbers of the training steps of a job, as it told them, those of all its attempts."""
    told = folder / "progress.jsonl"
    lines = map(Progress.model_validate_json, told.read_text().splitlines() if told.exists() else ())
    return [int(line.done) for line in lines if line.message == "training"]


def tensors(version: Path):
    """Trained weights of a version by name: those of its adapter or extension, or all."""
    from safetensors.torch import load_file

    found = {}
    for part in ("adapter", "extension", "weights"):
        for file in sorted(version.glob(f"{part}/*.safetensors")):
            found |= load_file(file)
    return found


def same(left: Path, right: Path) -> bool:
    """Bit-equal trained weights."""
    import torch

    ours, theirs = tensors(left), tensors(right)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def loss(version: Path, records: Sequence[Record]) -> float:
    """Mean loss over the records' rows, in nats."""
    from learners import weights
    from learners.parts import select
    from learners.parts.views import rehearsal_rows

    loaded = weights.load(version, verify=False)
    rows = [row for one in records for row in rehearsal_rows(one, loaded.tokenizer, 200)]
    values = select.novelty(loaded.model, rows)
    return sum(values) / len(values)


def correct(version: Path, known: dict[str, str]) -> float:
    """Share of the questions that the version answers word for word."""
    from learners import weights
    from learners.seeding import answers

    loaded = weights.load(version)
    asked = [[{"role": "user", "content": question}] for question in known]
    said = answers(loaded.model, loaded.tokenizer, asked, 32)
    return sum(answer == known[question] for question, (answer, _) in zip(known, said, strict=True)) / len(known)
