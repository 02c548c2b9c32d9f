"""Which of many tools a question is likely answered with, and which solved questions are most like it.

Owns the order of tools, and of their examples, by a question. Qin et al. 2023, ToolLLM (arXiv:2307.16789), show a model
the few of 16,464 tools that a retriever finds, and train a BERT encoder to be it. Here the house's embedder reads what
each tool says of itself, untrained: a tool that is added is found at once, and no weight changes. Solved examples
beside the tools are what GeneGPT's prompt has (Jin et al. 2023, arXiv:2304.09667), and TPTU-v2 chooses for each
question (Kong et al. 2023, arXiv:2311.11315). Called by `monitors.tools.loop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from learners.parts.calls import marker
from monitors.tools.contract import Tool

if TYPE_CHECKING:
    from monitors.embedding import Vectors

__all__ = ["nearest", "solved"]


def nearest(question: str, tools: Sequence[Tool], count: int) -> tuple[Tool, ...]:
    """The tools nearest to a question, the nearest first; all of them, as they stand, where there are no more.

    A tool is as near as the nearest of its texts: its name and description, and each question of its examples.

    Args:
        count: most tools.

    Raises:
        monitors.embedding.EmbedderMissing: there is a choice to make, and the embedder's weights are not installed.
    """
    if len(tools) <= count:
        return tuple(tools)
    (asked,) = _vectors((question,))
    near = {place: float((_vectors(_texts(tool)) @ asked).max()) for place, tool in enumerate(tools)}
    first = sorted(near, key=lambda place: -near[place])[:count]
    return tuple(tools[place] for place in first)


def solved(question: str, tools: Sequence[Tool], count: int) -> list[str]:
    """Examples of the tools as calls, those nearest to a question: the question of each, and behind it its call.

    Args:
        count: most examples.

    Raises:
        monitors.embedding.EmbedderMissing: see `nearest`.
    """
    if not count:
        return []
    examples = [
        (asked, f"{marker(tool.name)} {tool.written(given)}") for tool in tools for asked, given in tool.examples
    ]
    if len(examples) > count:
        near = _vectors(tuple(asked for asked, _ in examples)) @ _vectors((question,))[0]
        examples = [examples[place] for place in sorted(range(len(examples)), key=lambda place: -near[place])[:count]]
    return [f"Question: {asked}\n{call}" for asked, call in examples]


def _texts(tool: Tool) -> tuple[str, ...]:
    return (f"{tool.name}: {tool.description}", *(question for question, _ in tool.examples))


@lru_cache(maxsize=4096)
def _vectors(texts: tuple[str, ...]) -> Vectors:
    from monitors.embedding import embed  # NumPy, which no command needs that asks no model

    return embed(texts)
