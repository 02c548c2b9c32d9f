"""What each setting of a method means: what the `Attributes:` of its settings classes say, so that it is written once.

Owns the reading of those sections. Called by `cld methods show`. Imports no torch.
"""

from __future__ import annotations

import re
from inspect import cleandoc

from learners.methods.contract import Settings

__all__ = ["meanings"]

_SECTION = re.compile(r"^Attributes:\n((?:    .*\n?|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def meanings(settings: type[Settings]) -> dict[str, str]:
    """Setting -> what it means, in one line; a method's own words stand for those that all methods share.

    Settings of an installed package that says nothing of them are missing, as all are where Python dropped docstrings.
    """
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        section = _SECTION.search(cleandoc(str(vars(one).get("__doc__") or "")))
        for names, meaning in _ENTRY.findall(section.group(1) if section else ""):
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return {name: meaning for name, meaning in found.items() if name in settings.model_fields}
