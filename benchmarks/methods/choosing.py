"""docs/choosing.md: which method for which purpose, from the table of methods and the published results.

Owns the page's words and columns. An opinion has no place in it: what was not measured is listed as not measured.
Called by docs/generate.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import get_args

from benchmarks.methods.lacking import lacking
from benchmarks.methods.report import described, own_standings
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import PLAIN
from benchmarks.methods.standings import TOLERANCE, Standing, doubtful, keeping_up, other_orders
from learners.methods.info import InformationKind, MethodInfo, Need, ServingForm

__all__ = ["page"]

_HEAD = f"""\
# Choosing a method

<!-- Written by docs/generate.py from the table of methods and benchmarks/results/methods. -->

The planner proposes the methods marked so in `cld methods list`; any other is trained where you name it (`[planner]
methods`). Being proposed is no proof: what is planned on a cycle or two is listed below, with what was seen. This page
helps to name one. `cld methods show ID` says what a method is and where it differs from its paper.

"Keeps up" means: it learns within {TOLERANCE:.2f} of what plain training learns; "unclear": it learned less, by less
than a standard error, so that more test items might show either. Of each, the one that forgets least stands first. The
results are those of a small model and few records; the order on yours may differ, and
`python -m benchmarks.methods` measures it.

"""

_FORMS: dict[ServingForm, str] = {
    "adapter": "a LoRA adapter over the base: vLLM and every engine that knows LoRA, many versions in one process",
    "weights": "full weights: any engine, one version per process",
    "extension": "a base with an extension and its router: cld's own engine only",
}
_NEEDS: dict[Need, str] = {
    "data": "new records alone",
    "memory": "new records and a replay memory of old ones",
    "parent": "new records and an earlier version to compare with",
    "norms": "new preferences that name norms (`cld values`)",
}


def page(known: Mapping[str, MethodInfo], comparisons: Sequence[Comparison]) -> str:
    """The whole page.

    Args:
        known: methods by id.
        comparisons: published results.
    """
    parts = [_HEAD, _by_kind(known, comparisons), *(_comparison(found, known) for found in comparisons)]
    return "".join((*parts, _by_limits(known), _unmeasured(known, comparisons)))


def _by_kind(known: Mapping[str, MethodInfo], comparisons: Sequence[Comparison]) -> str:
    rows: list[tuple[str, ...]] = []
    for kind in get_args(InformationKind):
        for found in comparisons:
            able, unclear = _able(own_standings(found), found)
            best, perhaps = (
                [row for row in some if row.method in known and kind in known[row.method].information_kinds][:3]
                for some in (able, unclear)
            )
            if best:
                rows.append((kind, found.setup.stage, found.setup.title, _forgot(best), _forgot(perhaps)))
    head = "## By what is to be learned\n\nThose that forget least, with what they forgot.\n\n"
    return head + _grid(("information", "stage", "tasks", "keeps up", "unclear"), rows)


def _able(rows: Sequence[Standing], found: Comparison) -> tuple[list[Standing], list[Standing]]:
    """Those that keep up, and those of which it is unclear."""
    return keeping_up(rows, found.setup.stage), doubtful(rows, found.setup.stage, _tests(found))


def _tests(found: Comparison) -> int:
    return found.setup.test_items * len(found.results[0].tasks)


def _forgot(rows: Sequence[Standing]) -> str:
    return ", ".join(f"`{row.method}` ({row.forgetting:+.3f})" for row in rows) or "-"


def _comparison(found: Comparison, known: Mapping[str, MethodInfo]) -> str:
    rows = [row for row in own_standings(found) if row.method in known]
    able, unclear = _able(rows, found)
    behind = sorted((row for row in rows if row not in (*able, *unclear)), key=lambda row: -row.learning_accuracy)
    plain = next((row.seconds for row in rows if row.method == PLAIN[found.setup.stage]), None)
    cells = [
        (
            f"`{row.method}`", "yes" if row in able else "unclear" if row in unclear else "no",
            f"{row.learning_accuracy:.3f}", f"{row.forgetting:.3f}",
            f"{row.seconds / plain:.1f}x" if plain else "-", ", ".join(known[row.method].needs),
            known[row.method].serving_form,
        )
        for row in (*able, *unclear, *behind)
    ]  # fmt: skip
    tests, setup = _tests(found), found.setup
    head = (
        f"## Measured: stage {setup.stage}, {setup.title}\n\n{described(setup)} A mean over "
        f"{tests} items has a standard error of up to {0.5 / sqrt(tests):.2f}: smaller differences say little.\n\n"
    )
    columns = ("method", "keeps up", "learning accuracy", "forgetting", "time, plain = 1", "needs", "served as")
    return head + _grid(columns, cells) + _not_comparable(found)


def _not_comparable(found: Comparison) -> str:
    """What was measured and is not ranked, and why."""
    shown, lacks = {result.method for result in found.results}, lacking(found.setup)
    lines = "".join(f"- `{name}`: {lack.why}\n" for name, lack in sorted(lacks.items()) if name in shown)
    uneven = _names(other_orders(found.results, found.setup.stage))
    orders = f"Measured in other orders than plain training, and not ranked: {uneven}.\n\n"
    told = f"Measured, and not ranked, because these tasks lack what it needs:\n\n{lines}\n" if lines else ""
    return told + (orders if uneven != "none" else "")


def _by_limits(known: Mapping[str, MethodInfo]) -> str:
    forms = [
        (told, _names(n for n, info in known.items() if info.serving_form == form)) for form, told in _FORMS.items()
    ]
    most = {name: max(info.needs, key=list(_NEEDS).index) for name, info in known.items()}
    needs = [(told, _names(name for name in known if most[name] == need)) for need, told in _NEEDS.items()]
    return (
        "## By what serves it\n\n" + _grid(("a version is", "methods"), forms)
        + "## By the data at hand\n\n" + _grid(("needs", "methods"), needs)
    )  # fmt: skip


def _unmeasured(known: Mapping[str, MethodInfo], comparisons: Sequence[Comparison]) -> str:
    seen = {one.method for found in comparisons for one in found.results if one.method not in lacking(found.setup)}
    thin = {name: info.planned_on for name, info in sorted(known.items()) if info.planned_on and name not in seen}
    without = _names(name for name, info in known.items() if name not in {*seen, *thin} and not info.experimental)
    few = "".join(f"- `{name}`: {told}\n" for name, told in thin.items())
    doubted = "".join(f"- `{name}`: {info.experimental}\n" for name, info in sorted(known.items()) if info.experimental)
    told = f"## Not measured on a real model\n\nTested on tiny models; the order above does not know them: {without}.\n"
    few = f"\n## Planned on thin evidence\n\n{few}" if few else ""
    return told + few + (f"\n## Experimental\n\n{doubted}" if doubted else "")


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in rows)]) + "\n\n"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
