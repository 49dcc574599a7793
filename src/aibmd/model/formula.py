"""The formula guard: formulas run no code and cost no hours.

formulaic evaluates parts of a formula as Python, and already while parsing (it
looks up the functions on the left-hand side). So nothing reaches its parser
here before every token has been read and found on the allow-list, and before
the number of terms the formula expands to has been bounded.
"""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from formulaic import Formula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import ASTNode, Token

from aibmd.errors import FormulaError
from aibmd.model.factor import MAX_DEPTH, MAX_POWER, FactorUse, vet_factor, vet_name
from aibmd.model.transforms import ALLOWED, TRANSFORMS

__all__ = ["TRANSFORMS", "GuardedFormula", "guard_formula"]

MAX_CHARACTERS: Final = 2_000
MAX_NAMES: Final = 40
MAX_TERMS: Final = 2_000

_OPERATORS: Final = frozenset({"~", "~+", "~-", "+", "-", "+-", "-+", "*", "/", ":", "**", "^"})
_POWERS: Final = frozenset({"**", "^"})
_SUMS: Final = frozenset({"~", "~+", "~-", "+", "-", "+-", "-+"})


@dataclass(frozen=True, slots=True)
class GuardedFormula:
    """A formula that is safe to evaluate on a table with the columns it was checked against.

    Attributes
    ----------
    text : str
        As the user wrote it.
    response : str
        The left-hand side, such as ``"fev1"`` or ``"log(bmd)"``.
    left, right : formulaic.Formula
        The parsed sides; ``left`` has no intercept.
    response_variables : tuple of str
        Columns the response uses.
    variables : tuple of str
        Columns the right-hand side uses, in order of first appearance.
    stateless : bool
        True when no factor learns from the data beyond the levels of a factor
        (no ``center``, ``scale``, ``poly``, ``bs``, ``cr``).
    factor_variables : mapping of str to tuple of str
        formulaic's factor expression -> the columns it uses.
    """

    text: str
    response: str
    left: Formula
    right: Formula
    response_variables: tuple[str, ...]
    variables: tuple[str, ...]
    stateless: bool
    factor_variables: Mapping[str, tuple[str, ...]]


def guard_formula(text: str, columns: Iterable[str]) -> GuardedFormula:
    """Check that a formula only names columns and allowed functions, then parse it.

    Parameters
    ----------
    text : str
        A two-sided formula such as ``"bmd ~ arm * visit + log(age)"``.
    columns : iterable of str
        The columns of the table the formula will be evaluated on.

    Raises
    ------
    FormulaError
        For anything that is not a model of columns: unknown names, code,
        attribute access, oversized powers or expansions, several ``~``.

    Examples
    --------
    >>> formula = guard_formula("log(bmd) ~ 0 + arm + I(age**2)", ["bmd", "arm", "age"])
    >>> formula.response, formula.variables, formula.stateless
    ('log(bmd)', ('arm', 'age'), True)
    >>> guard_formula("bmd ~ arms", ["bmd", "arm"])
    Traceback (most recent call last):
        ...
    aibmd.errors.FormulaError: The formula names 'arms', which is not a column of the table. \
Did you mean 'arm'?

    Notes
    -----
    The check is made against names, not data: a column that is text where a
    number is needed is found when the formula is evaluated.
    """
    known = frozenset(name for name in columns if isinstance(name, str))
    _check_text(text)
    tokens = _read_tokens(text)
    tilde = _find_tilde(tokens)
    _check_structure(tokens, tilde)
    uses = {index: _vet_token(token, known) for index, token in enumerate(tokens)}
    _check_response(tokens[:tilde], uses[0])
    variables = _unique(use for index, use in uses.items() if index > tilde)
    _check_names(uses[0].columns, variables)
    return _parse(text, known, tuple(uses[0].columns), variables)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise FormulaError(
            f"A formula is text such as 'bmd ~ arm * visit'; got {type(text).__name__}."
        )
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(
            f"The formula has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. "
            f"Combine or derive columns of the table first."
        )
    for position, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"} and character not in "\n\t":
            raise FormulaError(
                f"The formula holds the invisible character U+{ord(character):04X} at position "
                f"{position + 1}. Type the formula again without it."
            )


def _read_tokens(text: str) -> list[Token]:
    try:
        return list(tokenize(text))
    except FormulaicError as reason:
        raise _unreadable(text, reason) from None


def _find_tilde(tokens: Sequence[Token]) -> int:
    operators = [token for token in tokens if token.kind is Token.Kind.OPERATOR]
    for token in operators:
        if "|" in token.token:
            raise FormulaError(
                f"'|'{_where(token)} is not part of a fixed-effects formula. Random effects are "
                f"given to fit_lmm(..., random='1 + time')."
            )
        if token.token not in _OPERATORS:
            raise _refuse_operator(token)
    tildes = [index for index, token in enumerate(tokens) if _is_operator(token, {"~", "~+", "~-"})]
    if len(tildes) != 1:
        raise FormulaError(
            f"A formula has one '~' between response and terms, as in 'bmd ~ arm * visit'; this "
            f"one has {len(tildes)}."
        )
    return tildes[0]


def _refuse_operator(token: Token) -> FormulaError:
    return FormulaError(
        f"{token.token!r}{_where(token)} is not an operator of formulas. Use + - * / : ** ( ) "
        f"and one ~; arithmetic on columns goes inside I(...)."
    )


def _check_structure(tokens: Sequence[Token], tilde: int) -> None:
    if tilde != 1 or tokens[0].kind not in (Token.Kind.NAME, Token.Kind.PYTHON):
        raise FormulaError(
            "The left-hand side of a formula is one column or one function of it, such as 'bmd', "
            "'log(bmd)' or 'I(bmd - baseline_bmd)'."
        )
    if tilde == len(tokens) - 1:
        raise FormulaError("The right-hand side of '~' is empty. Write 1 for a mean alone.")
    depth = 0
    for index, token in enumerate(tokens):
        if token.token == ".":
            raise FormulaError(
                f"'.'{_where(token)} for all other columns is not offered: a model names its "
                f"terms. List the columns."
            )
        if token.kind is Token.Kind.CONTEXT:
            depth += 1 if token.token == "(" else -1
        if depth > MAX_DEPTH or token.token == "[":
            raise FormulaError(
                f"The formula nests brackets more than {MAX_DEPTH} deep, or uses '['"
                f"{_where(token)}. Write the terms out, with round brackets."
            )
        if token.kind is Token.Kind.VALUE:
            _check_value(token, tokens[index - 1], [*tokens[index + 1 : index + 2]], depth)


def _check_value(token: Token, before: Token, after: list[Token], depth: int) -> None:
    if _is_operator(before, _POWERS):
        if token.token not in {str(power) for power in range(1, MAX_POWER + 1)}:
            raise FormulaError(
                f"The power {token.token}{_where(token)} is not a whole number from 1 to "
                f"{MAX_POWER}."
            )
        return
    # Inside brackets formulaic and R read 0 and -1 differently, so neither is offered.
    ends = not after or _is_operator(after[0], _SUMS)
    if token.token not in {"0", "1"} or depth or not (_is_operator(before, _SUMS) and ends):
        raise FormulaError(
            f"The constant {token.token}{_where(token)} is not a term. Only 0, 1 and -1 (for the "
            f"intercept, outside brackets) and powers are; scale a column inside I(...)."
        )


def _vet_token(token: Token, columns: frozenset[str]) -> FactorUse:
    if token.kind is Token.Kind.PYTHON:
        if token.source[token.source_start] == "{":
            raise FormulaError(
                f"'{{'{_where(token)} starts a quoted expression, which formulas may not hold. "
                f"Write I(...) around arithmetic."
            )
        return vet_factor(token.token, columns)
    if token.kind is Token.Kind.NAME:
        vet_name(token.token, columns)
        return FactorUse(columns=[token.token])
    return FactorUse()


def _check_response(left: Sequence[Token], use: FactorUse) -> None:
    for name in use.functions:
        if not ALLOWED[name].on_response:
            offered = ", ".join(name for name, row in ALLOWED.items() if row.on_response)
            raise FormulaError(
                f"{name}() cannot stand on the left of '~' (found {left[0].token}). The response "
                f"may be a column or one of: {offered}."
            )


def _check_names(response: Sequence[str], variables: Sequence[str]) -> None:
    count = len({*response, *variables})
    if count > MAX_NAMES:
        raise FormulaError(
            f"The formula names {count} columns; at most {MAX_NAMES} are read. Choose the "
            f"columns the question needs."
        )
    both = [name for name in response if name in variables]
    if both:
        raise FormulaError(
            f"{both[0]!r} stands on both sides of '~': it would explain itself. Drop it from "
            f"the right-hand side."
        )


def _parse(
    text: str, known: frozenset[str], response: tuple[str, ...], variables: tuple[str, ...]
) -> GuardedFormula:
    try:
        _check_expansion(DefaultFormulaParser().get_ast(text))
        formula = Formula(text)
        left, right = formula.lhs, formula.rhs
    except (FormulaicError, RecursionError, NotImplementedError) as reason:
        raise _unreadable(text, reason) from None
    if not len(right):
        raise FormulaError(
            f"The right-hand side of {_shorten(text)!r} is empty. Write 1 for a mean alone."
        )
    # Once more, on what formulaic made of the text: this is what it will run.
    uses = {str(factor.expr): _vet_parsed(factor, known) for factor in _factors(left, right)}
    used = {name for use in uses.values() for name in use.columns}
    return GuardedFormula(
        text=text,
        response=str(next(iter(left)).factors[0].expr),
        left=left,
        right=right,
        response_variables=response,
        variables=tuple(name for name in variables if name in used),
        stateless=not any(use.learns for use in uses.values()),
        factor_variables={expression: tuple(use.columns) for expression, use in uses.items()},
    )


def _factors(*sides: Formula) -> Iterator[Any]:
    for side in sides:
        for term in side:
            yield from (f for f in term.factors if f.eval_method.value != "literal")


def _vet_parsed(factor: Any, columns: frozenset[str]) -> FactorUse:
    if factor.eval_method.value == "python":
        return vet_factor(factor.expr, columns)
    vet_name(factor.expr, columns)
    return FactorUse(columns=[factor.expr])


def _check_expansion(tree: ASTNode | Token | None) -> None:
    """Bound terms and powers from the syntax tree, before anything is expanded."""
    order: list[ASTNode] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ASTNode):
            order.append(node)
            waiting.extend(node.args)
    terms: dict[int, int] = {}
    power: dict[int, int] = {}
    for node in reversed(order):
        terms[id(node)] = _count_terms(node, terms)
        power[id(node)] = _total_power(node, power)
        if terms[id(node)] > MAX_TERMS or power[id(node)] > MAX_POWER:
            raise FormulaError(
                f"The formula expands to more than {MAX_TERMS:,} terms, or its powers multiply "
                f"to more than {MAX_POWER}. Keep the interactions the question needs."
            )


def _count_terms(node: ASTNode, terms: Mapping[int, int]) -> int:
    sizes = [terms.get(id(argument), 1) for argument in node.args]
    symbol = node.operator.symbol
    if symbol in _POWERS:
        return math.prod([sizes[0]] * _exponent(node))
    if symbol == ":":
        return sizes[0] * sizes[1]
    if symbol == "*":
        return sizes[0] + sizes[1] + sizes[0] * sizes[1]
    return sum(sizes)


def _total_power(node: ASTNode, power: Mapping[int, int]) -> int:
    highest = max(power.get(id(argument), 1) for argument in node.args)
    return highest * _exponent(node) if node.operator.symbol in _POWERS else highest


def _exponent(node: ASTNode) -> int:
    exponent = node.args[1]
    if isinstance(exponent, Token) and exponent.kind is Token.Kind.VALUE:
        return int(exponent.token)
    raise FormulaError(f"A power in a formula must be a whole number from 1 to {MAX_POWER}.")


def _is_operator(token: Token, symbols: Iterable[str]) -> bool:
    return token.kind is Token.Kind.OPERATOR and token.token in symbols


def _unique(uses: Iterable[FactorUse]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for use in uses for name in use.columns))


def _unreadable(text: str, reason: Exception) -> FormulaError:
    first_line = next(iter(str(reason).splitlines()), type(reason).__name__)
    return FormulaError(f"The formula {_shorten(text)!r} cannot be read: {first_line}")


def _where(token: Token) -> str:
    return f" at position {token.source_start + 1}" if token.source_start is not None else ""


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
