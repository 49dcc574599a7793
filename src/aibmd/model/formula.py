"""The formula guard: formulas run no code and cost no hours.

formulaic evaluates parts of a formula as Python, and already while parsing (it
looks up the functions on the left-hand side). So nothing reaches its parser
here before every token has been read and found on the allow-list, and before
the number of terms the formula expands to has been bounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from formulaic import Formula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Token

from aibmd.errors import FormulaError
from aibmd.model.factor import FactorUse, vet_factor, vet_name
from aibmd.model.formula_text import (
    check_expansion,
    check_structure,
    check_text,
    find_tilde,
    read_tokens,
    shorten,
    unreadable,
    where,
)
from aibmd.model.transforms import ALLOWED, TRANSFORMS

__all__ = ["TRANSFORMS", "GuardedFormula", "guard_formula"]

MAX_NAMES: Final = 40


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
    check_text(text)
    tokens = read_tokens(text)
    tilde = find_tilde(tokens)
    check_structure(tokens, tilde)
    uses = {index: _vet_token(token, known) for index, token in enumerate(tokens)}
    _check_response(tokens[:tilde], uses[0])
    variables = _unique(use for index, use in uses.items() if index > tilde)
    _check_names(uses[0].columns, variables)
    return _parse(text, known, tuple(uses[0].columns), variables)


def _vet_token(token: Token, columns: frozenset[str]) -> FactorUse:
    if token.kind is Token.Kind.PYTHON:
        if token.source[token.source_start] == "{":
            raise FormulaError(
                f"'{{'{where(token)} starts a quoted expression, which formulas may not hold. "
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
        check_expansion(DefaultFormulaParser().get_ast(text))
        formula = Formula(text)
        left, right = formula.lhs, formula.rhs
    except (FormulaicError, RecursionError, NotImplementedError) as reason:
        raise unreadable(text, reason) from None
    if not len(right):
        raise FormulaError(
            f"The right-hand side of {shorten(text)!r} is empty. Write 1 for a mean alone."
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


def _unique(uses: Iterable[FactorUse]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for use in uses for name in use.columns))
