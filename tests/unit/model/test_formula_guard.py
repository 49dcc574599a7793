import pickle
import time

import formulaic
import numpy as np
import pandas as pd
import pytest

from aibmd.errors import AibmdError, FormulaError
from aibmd.model.formula import TRANSFORMS, guard_formula

COLUMNS = ["bmd", "arm", "visit", "age", "x", "bone age", "ﬁ", "log_bmd"]

# Stands for CODE below: one token of formulaic's, which creates the canary file.
CODE = """eval("open('{}', 'w').close()")"""
CODE_ATTACKS = {
    "a call on the right": "bmd ~ CODE",
    "a call on the left, which formulaic runs while parsing": "CODE ~ x",
    "a called call on the left": "CODE() ~ x",
    "inside an allowed function": "bmd ~ log(CODE)",
    "inside I": "bmd ~ I(x + CODE)",
    "inside C": "bmd ~ C(CODE)",
    "as a keyword": "bmd ~ bs(x, df=CODE)",
    "as the private state of a transform": "bmd ~ center(x, _state=CODE)",
    "as unpacked arguments": "bmd ~ log(*[CODE])",
    "as unpacked keywords": "bmd ~ bs(x, **CODE)",
    "as an option of a coding": "bmd ~ C(arm, contr.treatment(CODE))",
    "as levels": "bmd ~ C(arm, levels=[CODE])",
    "custom coding": "bmd ~ C(arm, contr.custom(CODE))",
    "in braces": "bmd ~ {CODE}",
    "in braces on the left": "{CODE} ~ x",
    "in backquotes": "bmd ~ `CODE`",
    "backquotes inside a call": "bmd ~ log(`CODE`)",
    "a keyword in backquotes": "bmd ~ I(`lambda`: CODE)",
    "called lambda": "bmd ~ I((lambda: CODE)())",
    "list comprehension": "bmd ~ I([CODE for i in x])",
    "generator": "bmd ~ I(sum(CODE for i in x))",
    "set comprehension": "bmd ~ I({CODE for i in x})",
    "f-string": "bmd ~ I(f'{CODE}')",
    "walrus": "bmd ~ I((y := CODE))",
    "conditional": "bmd ~ I(CODE if 1 else x)",
    "boolean operator": "bmd ~ I(x and CODE)",
    "comparison": "bmd ~ I(x < CODE)",
    "subscript": "bmd ~ x[CODE]",
    "slice inside I": "bmd ~ I(x[CODE:])",
    "matrix product": "bmd ~ I(x @ CODE)",
    "after a comment": "bmd ~ I(x) # )\n + CODE",
    "in the exponent": "bmd ~ I(x**CODE)",
    "awaited": "bmd ~ I(await CODE)",
    "quoted string broken open": "bmd ~ bs(x, extrapolation='\"]) or CODE #')",
    "level that closes the quote": 'bmd ~ C(arm, contr.treatment("A\\")) or CODE #"))',
}

OTHER_ATTACKS = {
    "attribute chain": "bmd ~ x.__class__.__mro__",
    "attribute chain on a call": "bmd ~ log(x).__class__.__base__",
    "method of a column": "bmd ~ x.to_csv('stolen.csv')",
    "numpy": "bmd ~ np.exp(x)",
    "numpy's file reader": "bmd ~ np.load('x.npy', allow_pickle=True)",
    "builtins by name": "bmd ~ __builtins__",
    "evaluation context": "bmd ~ I(__FORMULAIC_CONTEXT__)",
    "hashed is not offered": "bmd ~ hashed(x, levels=1000000000)",
    "lag is not offered": "bmd ~ lag(x)",
    "Q is not offered": "bmd ~ Q('x')",
    "attribute of a coding": "bmd ~ C(arm, contr.treatment.__init__)",
    "coding outside C": "bmd ~ contr.sum(x)",
    "the registry itself": "bmd ~ C(arm, contr)",
    "look-alike letters spell a function": "bmd ~ ｌｏｇ２(x).real",
    "look-alike letters spell a column": "bmd ~ I(ﬁ.real)",
    "null byte": "bmd ~ x\0",
    "right-to-left mark": "bmd ~ x\u202e",
    "string as a term": "bmd ~ 'x'",
    "string arithmetic": "bmd ~ I('x' * 1000000000)",
    "string in a numeric function": "bmd ~ log('x')",
    "string formatting": "bmd ~ I('%1000000000d' % 1)",
    "operator in percents": "bmd ~ x %in% arm",
    "random effects belong elsewhere": "bmd ~ x + (1 | arm)",
    "several parts": "bmd ~ x | arm",
    "stages": "bmd ~ [x ~ arm]",
    "wildcard": "bmd ~ .",
    "one side": "~ x",
    "no side": "bmd",
    "two tildes": "bmd ~ x ~ arm",
    "nothing on the right": "bmd ~ ",
    "nothing left on the right": "bmd ~ x - x - 1",
    "two responses": "bmd + x ~ arm",
    "factor as the response": "C(bmd) ~ arm",
    "spline as the response": "bs(bmd, df=4) ~ arm",
    "response explains itself": "bmd ~ log(bmd)",
    "constant as a term": "bmd ~ 3 + x",
    "no intercept hidden in brackets": "bmd ~ (0 + x)",
    "arithmetic outside I": "bmd ~ -x[0]",
    "unknown argument": "bmd ~ bs(x, dfs=4)",
    "too many arguments": "bmd ~ log(x, 2)",
    "no argument": "bmd ~ log()",
    "unbalanced": "bmd ~ log(x",
    "function of a constant": "bmd ~ bs(2)",
    "arithmetic on constants": "bmd ~ I(2 + log(3))",
    "round bracket closed by a square one": "bmd ~ (x]",
    "closed too often": "bmd ~ x) + (age",
    "empty braces": "bmd ~ x{}",
    "empty percents": "bmd ~ x%%",
    "empty backquotes": "bmd ~ ``",
    "empty backquotes in a call": "bmd ~ log(``)",
    "empty": "",
}

TIME_BOMBS = {
    "power of a sum": "bmd ~ (x + arm)**30",
    "caret power of a sum": "bmd ~ (x + arm)^5",
    "powers that multiply": "bmd ~ ((x + arm)**4)**4",
    "power of a power": "bmd ~ (x + arm)**4**4",
    "power in full-width digits": "bmd ~ (x + arm)**９",
    "power of a column": "bmd ~ (x + arm)**visit",
    "crossing again and again": "bmd ~ " + "*".join(["x", "arm", "visit", "age"] * 60),
    "interactions of sums": "bmd ~ " + ":".join(["(x + arm + visit + age)"] * 20),
    "big integer": "bmd ~ I(x + 9**9**9)",
    "big integer by nesting": "bmd ~ I(x + ((9**4)**4)**4)",
    "power of constants": "bmd ~ I(9**4 * x)",
    "high power": "bmd ~ I(x**5)",
    "high negative power": "bmd ~ I(x**-400)",
    "powers inside calls that multiply": "bmd ~ I(I(x**4)**4)",
    "long number": "bmd ~ I(x * " + "9" * 1500 + ")",
    "huge df": "bmd ~ bs(x, df=1000000000)",
    "huge degree": "bmd ~ poly(x, 1000000)",
    "huge cr": "bmd ~ cr(x, df=51)",
    "many knots": "bmd ~ bs(x, knots=[" + ",".join("1" * 250) + "])",
    "deep brackets": "bmd ~ " + "(" * 800 + "x" + ")" * 800,
    "deep brackets in I": "bmd ~ I(" + "(" * 800 + "x" + ")" * 800 + ")",
    "deep signs": "bmd ~ I(" + "-" * 1900 + "x)",
    "deep calls": "bmd ~ " + "log(" * 300 + "x" + ")" * 300,
    "too long": "bmd ~ x" + " " * 2000,
}


@pytest.mark.parametrize("formula", CODE_ATTACKS.values(), ids=CODE_ATTACKS.keys())
def test_code_in_a_formula_is_refused_and_never_runs(formula, tmp_path):
    canary = tmp_path / "canary"
    code = CODE.format(canary)
    with pytest.raises(FormulaError):
        guard_formula(formula.replace("CODE", code), COLUMNS)
    assert not canary.exists()


def test_the_canary_would_die_without_the_guard(tmp_path):
    """The attack is real: formulaic alone runs it, and already while parsing."""
    canary = tmp_path / "canary"
    formulaic.Formula(CODE.format(canary) + "() ~ x")
    assert canary.exists()


@pytest.mark.parametrize("formula", OTHER_ATTACKS.values(), ids=OTHER_ATTACKS.keys())
def test_what_is_not_a_model_of_columns_is_refused(formula):
    with pytest.raises(FormulaError):
        guard_formula(formula, COLUMNS)


@pytest.mark.parametrize("formula", TIME_BOMBS.values(), ids=TIME_BOMBS.keys())
def test_time_bombs_are_refused_at_once(formula):
    started = time.perf_counter()
    with pytest.raises(FormulaError):
        guard_formula(formula, COLUMNS)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("formula", [None, 3, ["bmd ~ x"], b"bmd ~ x"])
def test_a_formula_is_text(formula):
    with pytest.raises(FormulaError, match="text"):
        guard_formula(formula, COLUMNS)


def test_whatever_is_typed_gives_a_formula_or_a_formula_error():
    """Random text from the pieces formulas are made of; any other error escapes here."""
    pieces = [
        *"""yx()~+-*/:^`'"{}[],=|%#_.;@<\\\n 0129é²９""",
        *["**", "log(", "I(", "C(", "contr.", "lambda"],
    ]
    rng = np.random.default_rng(8)
    for _ in range(4000):
        text = "".join(rng.choice(pieces, rng.integers(0, 10)))
        for formula in (text, f"y ~ {text}"):
            try:
                assert guard_formula(formula, ["y", "x", "é", "²"]).text == formula
            except FormulaError:
                continue


def test_at_most_forty_columns_are_named():
    columns = ["y"] + [f"x{number}" for number in range(40)]
    assert len(guard_formula("y ~ " + " + ".join(columns[1:40]), columns).variables) == 39
    with pytest.raises(FormulaError, match="41 columns"):
        guard_formula("y ~ " + " + ".join(columns[1:]), columns)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("bmd ~ visits", "Did you mean 'visit'"),
        ("bmd ~ log(agee)", "Did you mean 'age'"),
        ("bmd ~ (1 | arm)", "Random effects"),
        ("bmd ~ I(x**9)", "at most 4"),
        ("bmd ~ bs(x, df=99)", "df must be a whole number of at most 50"),
        ("bmd ~ np.log(x)", "np.log is not a function of formulas"),
        ("bmd ~ x + {x}", "position 11"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_to_do(formula, words):
    with pytest.raises(FormulaError, match=words.replace("(", r"\(").replace("|", r"\|")):
        guard_formula(formula, COLUMNS)


def test_a_formula_error_is_an_aibmd_error_and_a_value_error():
    with pytest.raises(AibmdError) as caught:
        guard_formula("bmd ~ nothing", COLUMNS)
    assert isinstance(caught.value, ValueError)


def test_a_column_that_hides_a_function_is_refused_only_where_the_function_is_called():
    columns = ["y", "log", "x", "contr", "arm"]
    assert guard_formula("y ~ log", columns).variables == ("log",)
    with pytest.raises(FormulaError, match="hides the function log"):
        guard_formula("y ~ log(x)", columns)
    with pytest.raises(FormulaError, match="hides the codings"):
        guard_formula("y ~ C(arm, contr.sum)", columns)


FRAME = pd.DataFrame(
    {
        "bmd": [0.9, 1.0, 1.1, 0.8, 0.95, 1.05],
        "arm": ["A", "B", "C", "A", "B", "C"],
        "age": [50.0, 55.0, 60.0, 65.0, 52.0, 70.0],
        "x": [1, 2, 3, 4, 5, 6],
        "bone age": [40.0, 41.0, 45.0, 43.0, 44.0, 42.0],
    }
)
ONE = np.ones(6)
AGE, X, BONE = (FRAME[name].to_numpy(float) for name in ("age", "x", "bone age"))
B, C = ((FRAME["arm"] == level).to_numpy(float) for level in "BC")
A = 1 - B - C

ACCEPTED = {
    "bmd ~ 1": [ONE],
    "bmd ~ x": [ONE, X],
    "bmd ~ 0 + x": [X],
    "bmd ~ x - 1": [X],
    "bmd ~ -1 + arm": [A, B, C],
    "bmd ~ x +\n\t age": [ONE, X, AGE],
    "bmd ~ arm": [ONE, B, C],
    "bmd ~ arm * x": [ONE, B, C, X, B * X, C * X],
    "bmd ~ arm + arm:x": [ONE, B, C, A * X, B * X, C * X],
    "bmd ~ (x + age)**2": [ONE, X, AGE, X * AGE],
    "bmd ~ (x + age)^2 - x:age": [ONE, X, AGE],
    "bmd ~ x / age": [ONE, X, X * AGE],
    "bmd ~ C(arm, contr.sum)": [ONE, A - C, B - C],
    "bmd ~ C(arm, contr.treatment('C'))": [ONE, A, B],
    "bmd ~ C(arm, contr.treatment(base='B'))": [ONE, A, C],
    "bmd ~ C(arm, levels=['C', 'B', 'A'])": [ONE, B, A],
    "bmd ~ C(arm, contr.helmert)": [ONE, B - A - C * 0, 2 * C - A - B],
    "bmd ~ log(age) + log2(x) + log10(age) + exp(x) + sqrt(x)": [
        ONE,
        np.log(AGE),
        np.log2(X),
        np.log10(AGE),
        np.exp(X),
        np.sqrt(X),
    ],
    "bmd ~ I(x**2) + I((age - 60) / 10)": [ONE, X**2, (AGE - 60) / 10],
    "bmd ~ I(-x + 2 * age)": [ONE, 2 * AGE - X],
    "bmd ~ center(age)": [ONE, AGE - AGE.mean()],
    "bmd ~ scale(age)": [ONE, (AGE - AGE.mean()) / AGE.std(ddof=1)],
    "bmd ~ poly(x, 2, raw=True)": [ONE, X, X**2],
    "bmd ~ bs(x, df=1, degree=1)": [ONE, (X - 1) / 5],
    "bmd ~ `bone age`": [ONE, BONE],
    "bmd ~ log(`bone age`)": [ONE, np.log(BONE)],
}


@pytest.mark.parametrize("formula", ACCEPTED)
def test_an_accepted_formula_has_the_matrix_written_by_hand(formula):
    guarded = guard_formula(formula, FRAME.columns)
    matrix = guarded.right.get_model_matrix(FRAME, context=TRANSFORMS)
    np.testing.assert_allclose(
        np.asarray(matrix, dtype=float), np.column_stack(ACCEPTED[formula]), atol=1e-12
    )


@pytest.mark.parametrize(
    ("response", "values"),
    [
        ("bmd", FRAME["bmd"]),
        ("log(bmd)", np.log(FRAME["bmd"])),
        ("I(bmd - age)", FRAME["bmd"] - FRAME["age"]),
        ("log(bmd / age)", np.log(FRAME["bmd"] / FRAME["age"])),
    ],
)
def test_the_response_is_a_column_or_a_function_of_columns(response, values):
    guarded = guard_formula(f"{response} ~ x", FRAME.columns)
    matrix = guarded.left.get_model_matrix(FRAME, context=TRANSFORMS)
    assert matrix.shape == (6, 1)
    np.testing.assert_allclose(np.asarray(matrix)[:, 0], values, rtol=1e-15)
    assert guarded.response == response


def test_the_guarded_formula_tells_what_it_uses():
    text = "log(bmd) ~ 0 + arm * `bone age` + I(x / age) - x"
    guarded = guard_formula(text, FRAME.columns)
    assert guarded.text == text
    assert guarded.response_variables == ("bmd",)
    assert guarded.variables == ("arm", "bone age", "x", "age")
    assert guarded.factor_variables["I(x / age)"] == ("x", "age")
    assert guarded.factor_variables["log(bmd)"] == ("bmd",)
    assert guarded.stateless


def test_a_column_taken_out_again_is_not_a_variable():
    assert guard_formula("bmd ~ x + age - x", FRAME.columns).variables == ("age",)


@pytest.mark.parametrize("learned", ["center(x)", "scale(x)", "poly(x, 2)", "bs(x)", "cr(x, df=3)"])
def test_codings_learned_from_data_are_not_stateless(learned):
    assert not guard_formula(f"bmd ~ arm + {learned}", FRAME.columns).stateless


def test_a_guarded_formula_survives_pickling():
    guarded = guard_formula("log(bmd) ~ arm + bs(x, df=4)", FRAME.columns)
    assert pickle.loads(pickle.dumps(guarded)).variables == ("arm", "x")


@pytest.mark.parametrize("formula", ["bmd ~ log(x)", "bmd ~ sqrt(x)", "bmd ~ log(arm)"])
def test_values_outside_a_functions_domain_are_named_not_turned_into_missing(formula):
    frame = FRAME.assign(x=[-1.0, 2, 3, 4, 5, 6])
    guarded = guard_formula(formula, frame.columns)
    with pytest.raises(Exception, match=r"1 value that is not|needs numbers") as caught:
        guarded.right.get_model_matrix(frame, context=TRANSFORMS)
    assert isinstance(caught.value.__cause__, FormulaError)


def test_missing_values_pass_through_a_function():
    logged = TRANSFORMS["log"](pd.Series([1.0, np.nan]))
    np.testing.assert_array_equal(logged, [0.0, np.nan])
