"""Models that R fitted, as dense models: which rows, which covariance, which theta."""

from dataclasses import dataclass
from functools import cache

import dense
import formulaic
import numpy as np
import pandas as pd
import textbook_covariances as tc
from neighbours import stored

_SUBJECT = {"fev": "usubjid", "orthodont": "subject", "sleepstudy": "subject"}
_VISIT = {"fev": "avisit", "orthodont": "agef"}
_FACTORS = {"fev": stored.FEV, "orthodont": stored.ORTHODONT, "sleepstudy": {}}
_RENAMED = {"us": "un", "spatial1": "sp_exp"}


@dataclass(frozen=True, eq=False)
class PeerModel:
    """What R reported of a model, and the dense model and theta it should come from."""

    numbers: dict
    names: list
    factors: dict
    subject: np.ndarray
    model: dense.DenseModel
    theta: np.ndarray
    terms: tuple = ()

    def tables(self, df_method, vcov_method=None):
        """The stored inference of one method: its coefficients and type III tests."""
        for block in self.numbers["inference"]:
            if (block["df_method"], block.get("vcov_method")) == (df_method, vcov_method):
                return pd.DataFrame(block["coefficients"]), block["type3"]
        raise KeyError((df_method, vcov_method))

    def rows(self, names):
        """One row per coefficient that R names, in our order of columns."""
        return np.eye(len(self.names))[self.positions(names)]

    def hypothesis(self, term):
        """R's matrix of a type III test, in our order of columns."""
        matrix = self.numbers["type3_L"][term]
        L = np.zeros((len(matrix["values"]), len(self.names)))
        L[:, self.positions(matrix["cols"])] = matrix["values"]
        return L

    def positions(self, names):
        ours = [stored.formulaic_name(name, self.factors) for name in names]
        return [stored.position(name, self.names) for name in ours]


def keys(dataset, start, end=""):
    """Names of the stored models of one program, in one order."""
    found = stored.load(dataset)["models"]
    return [k for k in found if k.startswith(start) and k.endswith(end)]


@cache
def visit_model(dataset, key):
    """A marginal model of R mmrm; theta is read off the covariance it reports."""
    data, numbers, design = _design(dataset, key)
    structure = structure_of(key)
    visit = data[_VISIT[dataset]].cat.codes if structure != "sp_exp" else data["visitn"]
    subject = pd.factorize(data[_SUBJECT[dataset]])[0]
    V = tc.residuals(structure, subject, visit, 4)
    covariances = [numbers["cov"]]
    if "by_arm" in key:
        V = tc.by_group(V, data["armcd"].cat.codes)
        covariances = numbers["cov"].values()
    if "weights" in key:
        V = tc.weighted(V, data["weight"].to_numpy())
    theta = np.concatenate([tc.theta_of(structure, c["values"]) for c in covariances])
    return _assemble(dataset, numbers, design, subject, V, theta)


def structure_of(key):
    """Our name of the covariance in mmrm_us_by_arm_reml and the like."""
    code = key.split("_")[1]
    return _RENAMED.get(code, code)


@cache
def random_effects_model(dataset, key):
    """A model of lme4 or nlme::lme: `ri` intercepts, `rs` slopes, `ar1` residuals by day."""
    data, numbers, design = _design(dataset, key)
    subject = pd.factorize(data["subject"])[0]
    time = data["days" if dataset == "sleepstudy" else "age"].to_numpy(float)
    Z = np.column_stack([np.ones(len(data)), time])
    shape = "diagonal" if "uncorrelated" in key else "full"
    terms = ((subject, Z if "_rs_" in key else Z[:, :1], shape),)
    R, residual = tc.independent(len(data)), [numbers["residual_variance"]]
    if "ar1" in key:
        R = tc.residuals("ar1", subject, data["days"])
        residual.append(numbers["correlation"]["parameters"]["Phi"])
    theta = np.concatenate([_G_parameters(numbers["random_cov"]), residual])
    return _assemble(dataset, numbers, design, subject, tc.mixed(terms, R), theta, terms)


def _G_parameters(random_cov):
    blocks = [random_cov] if "values" in random_cov else random_cov.values()
    return np.concatenate([tc.theta_of("un", block["values"]) for block in blocks])


def _design(dataset, key):
    numbers = stored.load(dataset)["models"][key]
    name = f"{dataset}_unbalanced" if key.startswith("unbal") else dataset
    data = pd.read_csv(stored.HERE / "data" / f"{name}.csv")
    if dataset == "orthodont":
        data["agef"] = data["age"].astype(str)
    for column, levels in _FACTORS[dataset].items():
        data[column] = pd.Categorical(data[column].astype(str), levels)
    formula = numbers.get("formula") or numbers["fixed"]
    formula = " + ".join(term for term in formula.split(" + ") if "|" not in term)
    formula = formula.replace(" + (1", "")  # what is left of (1 + age | subject)
    data = data[data[formula.split(" ~ ")[0]].notna()]
    return data, numbers, formulaic.model_matrix(formula, data)


def _assemble(dataset, numbers, design, subject, V, theta, terms=()):
    X = design.rhs
    model = dense.DenseModel(
        X.to_numpy(float), design.lhs.to_numpy(float).ravel(), V, numbers["estimation"].lower()
    )
    return PeerModel(numbers, list(X.columns), _FACTORS[dataset], subject, model, theta, terms)
