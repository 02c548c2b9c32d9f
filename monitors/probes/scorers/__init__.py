"""The table of scorers. A new scorer is one file here with a `Probe` subclass, and one line in `SCORERS`."""

from __future__ import annotations

from monitors.probes.probe import Probe
from monitors.probes.scorers.approval import Approval
from monitors.probes.scorers.choice import Choice
from monitors.probes.scorers.compliance import Compliance
from monitors.probes.scorers.conjugate import Conjugate
from monitors.probes.scorers.ifeval import Ifeval
from monitors.probes.scorers.instruction import Instruction
from monitors.probes.scorers.judge import Judge
from monitors.probes.scorers.match import Match
from monitors.probes.scorers.perplexity import Perplexity
from monitors.probes.scorers.refusal import Refusal
from monitors.probes.scorers.tool_call import ToolCall

__all__ = [
    "SCORERS",
    "Approval",
    "Choice",
    "Compliance",
    "Conjugate",
    "Ifeval",
    "Instruction",
    "Judge",
    "Match",
    "Perplexity",
    "Refusal",
    "ToolCall",
]

SCORERS: dict[str, type[Probe]] = {
    "approval": Approval,
    "choice": Choice,
    "compliance": Compliance,
    "conjugate": Conjugate,
    "ifeval": Ifeval,
    "instruction": Instruction,
    "judge": Judge,
    "match": Match,
    "perplexity": Perplexity,
    "refusal": Refusal,
    "tool_call": ToolCall,
}
