"""Our fit of a stored model: lme4's and nlme's spelling turned into the package's arguments."""

import re
import warnings
from dataclasses import replace
from functools import cache

import stored

import aibmd
from aibmd.inference.build import build_inference

_TERM = re.compile(r"\(([^|()]*)(\|\|?)([^|()]*)\)")
# Two coordinates, a distance in the plane: the package has times of one dimension only.
NOT_EXPRESSIBLE = {("fev", "mmrm_spatial"), ("fev_dense", "spatial")}


def arguments(model):
    """The function that fits a stored model, and its keyword arguments."""
    common = {"subject": model.subject, "method": model.method, "weights": model.weights}
    time = model.time and model.time[0]
    if model.random is None:
        common |= {"visit": model.visit, "covariance": model.structure, "group": model.group}
        common |= {"repeated": model.numbers.get("repeated")}
        if "sp_exp" in model.structure:
            common |= {"visit": None, "time": time}
        return aibmd.fit_mmrm, common
    common |= _random(model.random, model.subject) | _residual(model, time)
    return aibmd.fit_lmm, common


def _random(text, subject):
    """lme4's random terms: correlated where they share brackets."""
    by_group, shape = {}, "full"
    for effects, bar, grouping in _TERM.findall(text):
        terms = by_group.setdefault(_grouping(grouping.strip(), subject), [])
        if bar == "||" or terms:
            shape = "diagonal"
        terms += [t.strip() for t in effects.split("+") if t.strip() != "0"]
    spelled = {g: " + ".join(_with_intercept(terms)) for g, terms in by_group.items()}
    one = next(iter(spelled.values()))
    random = one if list(spelled) == [subject] else spelled
    return {"random": random, "random_covariance": shape}


def _grouping(name, subject):
    """A plot of the split plot has a label of its own and lies in one block."""
    return f"{subject}:variety" if name == "plot" else name


def _with_intercept(terms):
    return terms if "1" in terms else ["1", *terms]


def _residual(model, time):
    kind = model.residual or "independent"
    correlation = model.numbers.get("correlation")
    if model.file == "sleepstudy" and correlation is not None:
        return {"residual": "ar1", "visit": "days"}
    if kind == "by group":
        return {"residual_group": model.residual_group}
    if kind == "ar1":
        return {"residual": "ar1", "visit": model.visit}
    return {"residual": "sp_exp", "time": time} if kind == "sp_exp" else {}


@cache
def fit(file, key, df_method="satterthwaite", information="observed", vcov="model"):
    """The fit; of one optimum, every kind of inference, built as the fit functions build it."""
    if (df_method, information, vcov) == ("satterthwaite", "observed", "model"):
        return _maximise(file, key)
    found = _maximise(file, key)
    inference = build_inference(
        found.engine, df_method, information, vcov, found.design, found.features
    )
    spec = replace(found.spec, df_method=df_method, information=information, vcov=vcov)
    return replace(found, spec=spec, inference=inference)


def data_of(model):
    """The table of a model; dyestuff2 calls its subjects batches."""
    data = model.data
    return data if model.subject in data else data.rename(columns={"batch": model.subject})


@cache
def _maximise(file, key):
    model = stored.load_model(file, key)
    function, options = arguments(model)
    with warnings.catch_warnings():
        if file == "singular":  # said in its own test
            warnings.simplefilter("ignore", aibmd.SingularFitWarning)
        if model.dataset.startswith("sleepstudy"):  # days are meant as a straight line
            warnings.simplefilter("ignore", aibmd.DataWarning)
        return function(model.formula, data_of(model), df_method="satterthwaite", **options)
