"""Promises of `agent.errors`: one table of exit codes that no error escapes."""

from __future__ import annotations

import importlib
import pkgutil

import agent
from agent import errors
from agent.errors import EXIT_CODES, CldError, ConfigError, StoreBusy, error_kind, exit_code


def all_subclasses(kind: type[BaseException]) -> set[type[BaseException]]:
    direct = set(kind.__subclasses__())
    return direct.union(*(all_subclasses(child) for child in direct))


def test_every_error_class_of_the_module_is_drawn_in_its_tree_with_its_exit_code():
    for kind in all_subclasses(CldError):
        if kind.__module__ == errors.__name__:
            line = next(line for line in (errors.__doc__ or "").splitlines() if f" {kind.__name__} " in line)
            assert str(exit_code(kind("x"))) in line.split()


def test_every_error_that_the_store_adds_has_an_exit_code_of_its_family():
    importlib.import_module("agent.store")
    assert {exit_code(kind.__new__(kind)) for kind in all_subclasses(CldError)} <= {
        code for code, _ in EXIT_CODES.values()
    }


def test_every_name_in_the_table_is_a_class_that_exists():
    known = {"", *(kind.__name__ for kind in all_subclasses(BaseException)), *dir(__builtins__)}
    for module in (
        "agent.store",
        "learners.durable",
        "learners.failures",
        "monitors.probes.suites",
        "monitors.datasets",
    ):
        known |= set(dir(importlib.import_module(module)))
    assert set(EXIT_CODES) <= known


def test_a_fault_of_cld_itself_has_no_exit_code():
    assert exit_code(ZeroDivisionError()) is None


def test_a_subclass_without_a_row_has_its_parents_code():
    class LockedOutError(StoreBusy):
        """Planted."""

    assert exit_code(LockedOutError()) == exit_code(StoreBusy()) == 75


def test_machines_read_the_class_name_in_snake_case():
    assert error_kind(StoreBusy()) == "store_busy"


def test_a_config_error_keeps_every_problem():
    assert ConfigError("one", "two").problems == ("one", "two")


def test_every_class_says_in_its_docstring_what_happened():
    for _, name, _ in pkgutil.iter_modules(agent.__path__):
        assert name
    assert all((kind.__doc__ or "").strip() for kind in all_subclasses(CldError) if kind.__module__ == errors.__name__)
