"""Arithmetic. An expression is parsed into a syntax tree and computed node by node; nothing of it is ever executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from monitors.tools.contract import Arguments, Tool, ToolError

__all__ = ["Calculator"]

Number = int | float

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_MOST: Final = 1e30  # of any number on the way
_MOST_EXPONENT: Final = 128


class _Expression(Arguments, frozen=True):
    expression: str = Field(min_length=1, max_length=200)


class Calculator(Tool, frozen=True):
    """Numbers, brackets and + - * / // % **; results are told with ten significant digits."""

    name: ClassVar[str] = "calculator"
    description: ClassVar[str] = "Computes an arithmetic expression."
    arguments: ClassVar[type[Arguments]] = _Expression
    examples: ClassVar[tuple[tuple[str, Mapping[str, Any]], ...]] = (
        ("How much is 3 plus 4?", {"expression": "3 + 4"}),
        ("What is 12 times 7, less 5?", {"expression": "12 * 7 - 5"}),
        ("Divide 90 by 8.", {"expression": "90 / 8"}),
    )

    def run(self, arguments: _Expression) -> str:
        """Compute the expression.

        Raises:
            ToolError: it is no arithmetic, divides by zero, or grows beyond 1e30 on its way.
        """
        text = arguments.expression.replace("^", "**").replace("\u00d7", "*").replace("\u00f7", "/")
        try:
            value = _value(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, RecursionError):
            raise ToolError(f"{arguments.expression!r:.80} is no arithmetic expression") from None
        except ZeroDivisionError:
            raise ToolError("division by zero") from None
        return str(value) if isinstance(value, int) else f"{value:.10g}"


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return _bounded(value)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Pow) and abs(second) > _MOST_EXPONENT:
                raise ToolError(f"an exponent is at most {_MOST_EXPONENT}")
            return _bounded(_BINARY[type(op)](first, second))
        case _:
            raise ToolError("only numbers, brackets and + - * / // % ** are computed")


def _bounded(value: Any) -> Number:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > _MOST:
        raise ToolError(f"the result is no real number within {_MOST:g}")
    return value
