"""What a tool is: a name, what it is good for, arguments that are validated, and a pure function of them.

Owns the base class; the tools themselves are in the files beside it, one each, and in the table of `monitors.tools`.
A tool reads no files, starts no processes and opens no connections; what it knows is in its fields.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Arguments", "Tool", "ToolError"]


class ToolError(ValueError):
    """A call that cannot be answered; the message, one short sentence, is what the model reads in place of a result."""


class Arguments(BaseModel, frozen=True):
    """Arguments of a tool; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class Tool(BaseModel, ABC, frozen=True):
    """One tool; its fields are its configuration.

    Attributes:
        name: by which it is called; its key in `monitors.tools.TOOLS`.
        description: one sentence for the model.
        arguments: their model.
        examples: questions and the arguments they are answered with, for a model that writes arguments by example.
    """

    model_config = ConfigDict(extra="forbid")

    name: ClassVar[str]
    description: ClassVar[str]
    arguments: ClassVar[type[Arguments]]
    examples: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]]

    @classmethod
    def schema_of_arguments(cls) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return cls.arguments.model_json_schema()

    @classmethod
    def spec(cls) -> dict[str, Any]:
        """The tool as OpenAI's interface and chat templates describe one."""
        function = {"name": cls.name, "description": cls.description, "parameters": cls.schema_of_arguments()}
        return {"type": "function", "function": function}

    @classmethod
    def validated(cls, given: Mapping[str, Any]) -> Arguments:
        """The arguments of a call.

        Raises:
            ToolError: names each argument that is missing, unknown or of the wrong kind.
        """
        try:
            return cls.arguments.model_validate(given)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()[:3]]
            raise ToolError(f"wrong arguments of {cls.name}: {'; '.join(problems)}") from None

    @classmethod
    def written(cls, arguments: Mapping[str, Any]) -> str:
        """Arguments as they stand in a call."""
        return json.dumps(arguments, ensure_ascii=False)

    @abstractmethod
    def run(self, arguments: Any) -> str:
        """The result of a call, as text.

        Args:
            arguments: an instance of this tool's `arguments`.

        Raises:
            ToolError: the call cannot be answered.
        """
