"""The configuration of a data root: every key, its unit, its bounds and its meaning.

ROOT/cld.toml < environment (CLD_SECTION__KEY) < flags (`--set section.key=value`).

Owns the models, one file for each group of tables; `cld_toml` puts them together. Their field descriptions are the
only documentation of a key, and `agent.root.settings_text` writes the commented cld.toml and docs/configuration.md
from them. Nothing here imports from data: choices are closed lists, and a secret is named (`api_key_env`), never held.
Called by the CLI and the daemon, once per process, through `agent.root.settings.load`.
"""

from agent.config.cld_toml import Config
from agent.config.cycles import Approval, Cycle, Planner
from agent.config.forgetting import Forget
from agent.config.gate import Gate, SuiteGate
from agent.config.intake import Intake, Source
from agent.config.machine import Energy, Limits, Log, Retention, Store, Workers
from agent.config.measuring import Engine, Judge, Probes, Revise
from agent.config.section import Section
from agent.config.training import ForgetTraining, Model, Replay, StageTraining, TextTraining, Training

__all__ = [
    "Approval", "Config", "Cycle", "Energy", "Engine", "Forget", "ForgetTraining", "Gate", "Intake", "Judge", "Limits",
    "Log", "Model", "Planner", "Probes", "Replay", "Retention", "Revise", "Section", "Source", "StageTraining",
    "Store", "SuiteGate", "TextTraining", "Training", "Workers",
]  # fmt: skip
