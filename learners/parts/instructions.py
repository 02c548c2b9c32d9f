"""Instructions as data: what a task's definition says, and the right and wrong examples it gives.

Owns the fields of `content["task"]` of a record of kind `instruction`, how they are shown to a model, and
`memory/instructions.jsonl`, the tasks that a lineage was instructed in. The fields are those of Natural Instructions
(Mishra et al. 2022, arXiv:2104.08773) and Super-NaturalInstructions, whose names for them are read, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from learners.failures import InvalidInput
from learners.records import Record, record_id

__all__ = ["Example", "Instruction", "distinct", "examples", "read", "rendered", "write"]

_FILE = "instructions.jsonl"


class Example(BaseModel):
    """An input and the output that is right, or wrong, for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: str
    output: str


class Instruction(BaseModel):
    """A task as its instruction tells it.

    Attributes:
        title, definition, emphasis, avoid, prompt: texts; Super-NaturalInstructions has the definition alone.
        positive, negative: examples of right and of wrong outputs.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    title: str = Field(default="", validation_alias=AliasChoices("title", "Title"))
    definition: str = Field(default="", validation_alias=AliasChoices("definition", "Definition"))
    emphasis: str = Field(default="", validation_alias=AliasChoices("emphasis", "Emphasis & Caution"))
    avoid: str = Field(default="", validation_alias=AliasChoices("avoid", "Things to Avoid"))
    prompt: str = Field(default="", validation_alias=AliasChoices("prompt", "Prompt"))
    positive: tuple[Example, ...] = Field(
        default=(), validation_alias=AliasChoices("positive", "Positive Examples", "positive_examples")
    )
    negative: tuple[Example, ...] = Field(
        default=(), validation_alias=AliasChoices("negative", "Negative Examples", "negative_examples")
    )

    @field_validator("title", "definition", "emphasis", "avoid", "prompt", mode="before")
    @classmethod
    def _joined(cls, value: Any) -> Any:
        """Super-NaturalInstructions writes a definition as a list of texts; NI writes `-` for nothing."""
        text = " ".join(map(str, value)) if isinstance(value, list) else value  # pyright: ignore
        return "" if text == "-" else text


def distinct(records: Iterable[Record]) -> list[Instruction]:
    """The instructions that records carry, each once, in order.

    Raises:
        InvalidInput: a record's `task` is not what `Instruction` describes.
    """
    found: dict[Instruction, None] = {}
    for record in records:
        if record.kind == "instruction" and (task := record.content.get("task")) is not None:
            try:
                found[Instruction.model_validate(task)] = None
            except ValidationError as error:
                raise InvalidInput(f"record {record.id!r} carries a task that cannot be read: {error}") from error
    return list(found)


def rendered(task: Instruction, question: str) -> str:
    """The prompt of one input: every field of the instruction that says something, then the input."""
    fields = {
        "Title": task.title,
        "Definition": task.definition,
        "Emphasis": task.emphasis,
        "Things to avoid": task.avoid,
        "Prompt": task.prompt,
        "Input": question,
    }
    return "\n\n".join(f"{name}: {text}" for name, text in fields.items() if text)


def examples(task: Instruction, *, right: bool) -> list[Record]:
    """The positive or the negative examples of a task as conversations."""
    found: list[Record] = []
    for one in task.positive if right else task.negative:
        messages = [
            {"role": "user", "content": rendered(task, one.input)},
            {"role": "assistant", "content": one.output},
        ]
        content = {"messages": messages}
        found.append(Record(id=record_id("instruction", content), source="task", kind="instruction", content=content))
    return found


def read(folder: Path) -> list[Instruction]:
    """The tasks that were instructed before, oldest first; empty where no version wrote any."""
    path = folder / _FILE
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [Instruction.model_validate_json(line) for line in lines]


def write(folder: Path, tasks: Sequence[Instruction]) -> None:
    """Write them into a `memory/` folder that is being built."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(task.model_dump_json() + "\n" for task in tasks)
    (folder / _FILE).write_text(text, encoding="utf-8")
