"""Vet the code of one factor of a formula, without running any of it.

A factor such as ``C(arm, contr.sum)`` or ``I(age**2)`` is Python that formulaic
will evaluate. It is read here as a syntax tree and every node must be one that
a model needs: columns, numbers, arithmetic, and the calls of `transforms`.
"""

import ast
import difflib
import keyword
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from formulaic.utils.code import sanitize_variable_names

from aibmd.errors import FormulaError
from aibmd.model.constants import describe_kind, is_constant_of, is_number
from aibmd.model.transforms import ALLOWED, CODINGS, Transform

MAX_POWER: Final = 4
MAX_DEPTH: Final = 20

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)


@dataclass(slots=True)
class FactorUse:
    """What one factor uses, collected while it is read."""

    columns: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    @property
    def learns(self) -> bool:
        """Whether its coding depends on data beyond the levels of a factor."""
        return any(ALLOWED[name].learns for name in self.functions)


def vet_factor(code: str, columns: Collection[str]) -> FactorUse:
    """Read one Python factor; raise `FormulaError` on anything not allowed."""
    aliases: dict[str, str] = {}
    tree = _parse(code, columns, aliases)
    reader = _Reader(code, columns, aliases)
    if not isinstance(tree, ast.Call):
        raise reader.refusal(tree, "arithmetic belongs inside I(...)")
    if not reader.read_call(tree, depth=0, power=1):
        raise reader.refusal(tree, "it names no column")
    _check_shadowing(reader.use, columns)
    return reader.use


def vet_name(name: str, columns: Collection[str]) -> None:
    """Raise `FormulaError` unless the name is a column."""
    if name.replace(".", "", 1).isdigit():
        raise FormulaError(
            f"The formula names the column {name!r}, which formulas read as a number. Rename it."
        )
    if name not in columns:
        raise FormulaError(f"The formula names {name!r}, {_missing_column(name, columns)}")


def _parse(code: str, columns: Collection[str], aliases: dict[str, str]) -> ast.expr:
    try:
        # The same rewriting of backquoted names that formulaic applies before
        # it evaluates, so what is vetted is what would run.
        text = sanitize_variable_names(code, dict.fromkeys(columns), aliases)
        tree: ast.expr = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError) as reason:
        raise FormulaError(
            f"{_shorten(code)} in the formula cannot be read as a function of columns "
            f"({type(reason).__name__}). Check brackets, commas and quotes."
        ) from None
    return tree


class _Reader:
    def __init__(self, code: str, columns: Collection[str], aliases: dict[str, str]) -> None:
        self.code, self.columns, self.aliases = code, columns, aliases
        self.use = FactorUse()

    def refusal(self, node: ast.AST, why: str) -> FormulaError:
        return FormulaError(
            f"{_shorten(self.code)} in the formula is not allowed at {_shorten(_show(node))}: "
            f"{why}. Formulas may use columns, numbers and {', '.join(ALLOWED)}, and "
            f"{', '.join('contr.' + name for name in CODINGS)} inside C(). Derive anything else "
            f"as a column of the table first."
        )

    def read_call(self, node: ast.Call, depth: int, power: int) -> bool:
        """Read a call; answer whether its first argument holds a column."""
        if not isinstance(node.func, ast.Name) or node.func.id not in ALLOWED:
            raise self.refusal(node, f"{_show(node.func)} is not a function of formulas")
        name = node.func.id
        self.use.functions.append(name)
        if not node.args or isinstance(node.args[0], ast.Starred):
            raise self.refusal(node, f"{name}() needs a column as its first argument")
        self.read_options(node, node.args[1:], ALLOWED[name])
        if name == "C":
            self.read_column(node.args[0])
            return True
        return self.read_number(node.args[0], depth + 1, power)

    def read_options(self, node: ast.Call, given: list[ast.expr], takes: Transform) -> None:
        names = list(takes.options)
        if len(given) > len(names):
            raise self.refusal(node, f"it takes at most {len(names)} further arguments")
        pairs: list[tuple[str | None, ast.expr]] = list(zip(names, given, strict=False))
        for name, value in pairs + [(word.arg, word.value) for word in node.keywords]:
            if name is None or name not in takes.options:
                known = ", ".join(names) or "no further argument"
                raise self.refusal(node, f"argument {name!r} is not known here; it takes {known}")
            self.read_option(name, value, takes.options[name])

    def read_option(self, name: str, value: ast.expr, kind: str) -> None:
        if isinstance(value, ast.Constant) and value.value is None:
            return
        if kind == "contrast":
            self.read_coding(value)
            return
        if not is_constant_of(kind, value):
            raise self.refusal(value, f"{name} must be {describe_kind(kind)}")

    def read_coding(self, node: ast.expr) -> None:
        call = node if isinstance(node, ast.Call) else None
        target = call.func if call else node
        if (
            not isinstance(target, ast.Attribute)
            or not isinstance(target.value, ast.Name)
            or target.value.id != "contr"
            or target.attr not in CODINGS
        ):
            raise self.refusal(node, "it is not a known coding of a factor")
        if "contr" in self.columns:
            raise self.refusal(node, "a column called 'contr' hides the codings; rename it")
        if call:
            self.read_options(call, call.args, CODINGS[target.attr])

    def read_number(self, node: ast.expr, depth: int, power: int) -> bool:
        """Read a numeric expression; answer whether it holds a column."""
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(node, ast.Name):
            self.read_column(node)
            return True
        if isinstance(node, ast.Constant):
            if not is_number(node):
                raise self.refusal(node, "only numbers of ordinary size may be used here")
            return False
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return self.read_number(node.operand, depth + 1, power)
        if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
            return self.read_arithmetic(node, depth, power)
        if isinstance(node, ast.Call):
            has_column = self.read_call(node, depth + 1, power)
            if node.func.id in {"C", "poly", "bs", "cr"}:  # type: ignore[attr-defined]
                raise self.refusal(node, "it codes several columns and cannot be nested")
            return has_column
        raise self.refusal(node, "only columns, numbers, + - * / and ** may be used here")

    def read_arithmetic(self, node: ast.BinOp, depth: int, power: int) -> bool:
        if not isinstance(node.op, ast.Pow):
            left = self.read_number(node.left, depth + 1, power)
            return self.read_number(node.right, depth + 1, power) or left
        exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
        size = abs(exponent.value) if is_number(exponent) else MAX_POWER + 1  # type: ignore[attr-defined]
        total = power * max(1, size)
        if total > MAX_POWER:
            raise self.refusal(node, f"powers must be numbers of at most {MAX_POWER} in total")
        if not self.read_number(node.left, depth + 1, total):
            raise self.refusal(node, "a power of constants is itself a constant; write its value")
        return True

    def read_column(self, node: ast.expr) -> None:
        if not isinstance(node, ast.Name):
            raise self.refusal(node, "a column is needed here")
        name = self.aliases.get(node.id, node.id)
        if keyword.iskeyword(name) or name not in self.columns:
            raise FormulaError(
                f"{_shorten(self.code)} in the formula names {name!r}, "
                f"{_missing_column(name, self.columns)}"
            )
        if name not in self.use.columns:
            self.use.columns.append(name)


def _check_shadowing(use: FactorUse, columns: Collection[str]) -> None:
    for name in use.functions:
        if name in columns:
            raise FormulaError(
                f"The table has a column called {name!r}, which hides the function {name}() that "
                f"the formula calls. Rename the column."
            )


def _missing_column(name: str, columns: Collection[str]) -> str:
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0.6)
    if near:
        return f"which is not a column of the table. Did you mean {near[0]!r}?"
    shown = ", ".join(sorted(columns)[:12]) + (", ..." if len(columns) > 12 else "")
    return f"which is not a column of the table. Its columns are: {shown}."


def _show(node: ast.AST) -> str:
    try:
        return ast.unparse(node)
    except RecursionError:
        return type(node).__name__


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
