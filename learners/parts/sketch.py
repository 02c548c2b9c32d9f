"""Sketches of Python code: its shape, without what its author made up.

Owns the map from a file to its blocks and from a block to its sketch: names of functions and classes that the block
defines become `func` and `AnClass`, literals become fixed words of their type. Names from elsewhere (the library that
is learned), variables and docstrings stay. A sketch parses, and the sketch of a sketch is itself.

Source: Zan et al. 2022, CERT (arXiv:2206.06888), whose sketcher this follows in its default form.
"""

from __future__ import annotations

import ast

__all__ = ["blocks", "sketched"]


def blocks(code: str) -> list[str] | None:
    """The top-level statements of a file, as they are written; None where it is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    lines = code.splitlines()
    return ["\n".join(lines[_first_line(node) - 1 : node.end_lineno]) for node in tree.body]


def _first_line(node: ast.stmt) -> int:
    """Of the statement with its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def sketched(block: str) -> str:
    """The sketch of a block; the block itself where it imports twice or more, or asks for `__name__`.

    Raises:
        SyntaxError: the block is no Python.
    """
    tree = ast.parse(block)
    imports = sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(tree))
    if imports >= 2 or any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(tree)):
        return block
    return ast.unparse(ast.fix_missing_locations(_Sketcher(tree).visit(tree)))


class _Sketcher(ast.NodeTransformer):
    def __init__(self, tree: ast.AST) -> None:
        self._names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("__"):
                self._names[node.name] = "func"
            elif isinstance(node, ast.ClassDef):
                self._names[node.name] = "AnClass"

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rename definitions, and leave docstrings and match patterns alone."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            node.name = self._names.get(node.name, node.name)
        if isinstance(node, ast.pattern) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return node
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name that the block defines."""
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A method that the block defines, called on `self`."""
        node.value = self.visit(node.value)
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            node.attr = self._names.get(node.attr, node.attr)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """A formatted string."""
        return ast.Constant("string")

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A literal; True, False, None and ... are no detail."""
        value = node.value
        if isinstance(value, bool) or value is None or value is ...:
            return node
        if isinstance(value, (str, bytes)):
            return ast.Constant("string" if isinstance(value, str) else b"bytes")
        return ast.Name({"int": "number", "float": "decimal"}.get(type(value).__name__, "imaginary"), ast.Load())
