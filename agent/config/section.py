"""What every table of cld.toml is: immutable, strict, documented by its docstring."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """A table of cld.toml: immutable, unknown keys refused; its docstring introduces it in the docs."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
