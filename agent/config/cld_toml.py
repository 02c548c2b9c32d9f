"""The whole of cld.toml: which tables there are, in their order, and what wins over what."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from agent.config.cycles import Approval, Cycle, Planner
from agent.config.forgetting import Forget
from agent.config.gate import Gate
from agent.config.intake import Intake, Source
from agent.config.machine import Energy, Limits, Log, Retention, Store, Workers
from agent.config.measuring import Engine, Judge, Probes, Revise
from agent.config.notations import Name
from agent.config.training import Model, Replay, Training

__all__ = ["Config"]


class Config(BaseSettings):
    """Everything in cld.toml; made by `agent.root.settings.load`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="CLD_", env_nested_delimiter="__", validate_default=True
    )

    model: Model = Model()
    store: Store = Store()
    sources: dict[Name, Source] = Field(default={"inbox": Source()}, min_length=1)
    intake: Intake = Intake()
    cycle: Cycle = Cycle()
    planner: Planner = Planner()
    approval: Approval = Approval()
    training: Training = Training()
    replay: Replay = Replay()
    gate: Gate = Gate()
    forget: Forget = Forget()
    limits: Limits = Limits()
    workers: Workers = Workers()
    retention: Retention = Retention()
    probes: Probes = Probes()
    engine: Engine = Engine()
    judge: Judge = Judge()
    revise: Revise = Revise()
    energy: Energy = Energy()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over the file; no .env file and no secrets folder."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
