"""One stored model in one shape, whichever program and script wrote it: `load_model(file, key)`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from stored_files import FEV, ORTHODONT, listed, load, matrix, read_data

CLASSIC = ("fev", "orthodont", "sleepstudy")  # written by several programs, see the README
_STRUCTURE = {"us": "un"}
_SPATIAL = {"mmrm_spatial": ("visitn", "visitn2"), "mmrm_spatial1": ("visitn",)}
_VCOV = {
    "Asymptotic": "model",
    "Kenward-Roger-Linear": "kenward_roger",
    "Kenward-Roger": "kenward_roger_second_mmrm",  # second order in mmrm's own parameters
    "Empirical": "CR0",
    "Empirical-Bias-Reduced": "CR2",
    "Empirical-Jackknife": "CR3",
}


@dataclass(frozen=True)
class StoredBlock:
    """Inference of one model: which df, which coefficient covariance, which information."""

    df_method: str  # satterthwaite, kenward_roger, between_within, residual
    vcov_method: str  # model, kenward_roger, kenward_roger_second(_mmrm), CR0, CR2, CR3
    information: str  # observed, expected; none where the df use no information matrix
    tables: Mapping

    def table(self, name):
        """`coefficients`, `type3`, `emmeans`, `contrasts` as a frame, None where not stored."""
        return pd.DataFrame(self.tables[name]) if self.tables.get(name) is not None else None

    @property
    def vcov(self):
        """The coefficient covariance the block used, None where not stored."""
        return matrix(self.tables.get("vcov"))


@dataclass(frozen=True)
class Model:
    """What was fitted, by whom, and what came out; `numbers` holds everything as stored."""

    file: str
    key: str
    program: str
    dataset: str
    formula: str  # fixed effects, R's spelling
    random: str | None  # lme4's spelling
    structure: str | None  # visit covariance, un ... sp_exp
    method: str  # reml, ml
    subject: str
    visit: str | None
    group: str | None
    weights: str | None  # precision weights
    factors: Mapping
    blocks: tuple
    numbers: Mapping

    @property
    def id(self):
        return f"{self.file}-{self.key}"

    @property
    def data(self):
        frozen = tuple((k, tuple(v)) for k, v in self.factors.items())
        return read_data(self.dataset, self.key, frozen)

    @property
    def loglik(self):
        return self.numbers.get("loglik")

    @property
    def params(self):
        """Estimates by R's coefficient name, None where not stored."""
        if "beta" in self.numbers and "names" in self.numbers:
            names = listed(self.numbers["names"])
            return pd.Series(np.atleast_1d(self.numbers["beta"]), names, dtype=float)
        if isinstance(self.numbers.get("beta"), dict):
            return pd.Series(self.numbers["beta"], dtype=float)
        table = self.numbers.get("coefficients") or next(
            (b.tables["coefficients"] for b in self.blocks if "coefficients" in b.tables), None
        )
        return table and pd.Series({row["name"]: float(row["estimate"]) for row in table})

    @property
    def theta(self):
        """Covariance parameters in the project's order and scale, by name; polished models only."""
        names = self.numbers.get("theta_names")
        return None if names is None else pd.Series(self.numbers["theta"], listed(names))

    @property
    def covariance(self):
        """Visit covariance by level of `group` ("all" without one), None for random effects."""
        stored = self.numbers.get("covariance", self.numbers.get("cov"))
        if stored is None:
            return None
        if isinstance(stored, dict) and "values" not in stored:
            return {level: matrix(one) for level, one in stored.items()}
        return {"all": matrix(stored)}

    @property
    def random_covariance(self):
        """Covariance of the random effects by grouping, None without any."""
        stored = self.numbers.get("random_cov", self.numbers.get("random_covariance"))
        if stored is None:
            return None
        if "values" in stored:
            return {self.subject: matrix(stored)}
        return {grouping: matrix(one) for grouping, one in stored.items()}

    @property
    def residual_variance(self):
        return self.numbers.get("residual_variance")

    @property
    def time(self):
        """The column of the times (one), or those of spatial coordinates (several)."""
        if self.key in _SPATIAL:
            return _SPATIAL[self.key]
        stored = self.numbers.get("coordinates") or self.numbers.get("time")
        return None if stored is None else tuple(listed(stored))

    @property
    def residual(self):
        """Residual part of a model with random effects: independent, by group, ar1, sp_exp."""
        return self.numbers.get("residual")

    @property
    def residual_group(self):
        return self.numbers.get("residual_group")

    def block(self, df_method, vcov_method=None, information=None):
        """The block of that method; the covariance that goes with the df unless named."""
        wanted = vcov_method or ("kenward_roger" if df_method == "kenward_roger" else "model")
        for one in self.blocks:
            if (one.df_method, one.vcov_method) == (df_method, wanted) and (
                information is None or one.information == information
            ):
                return one
        have = [(b.df_method, b.vcov_method, b.information) for b in self.blocks]
        raise KeyError(f"{self.id}: no block {df_method}, {wanted}, {information}; stored: {have}")


def model_keys(file):
    """The models of a file."""
    return tuple(load(file)["models"])


@cache
def load_model(file, key):
    """A stored model; `key` without its method means the REML one."""
    models = load(file)["models"]
    found = key if key in models else f"{key}_reml"
    if found not in models:
        raise KeyError(f"peers/{file}.json has no model {key!r}; it has {', '.join(models)}")
    return (_classic if file in CLASSIC else _native)(file, found, models[found])


def _native(file, key, m):
    blocks = tuple(_native_block(b) for b in m.get("inference", ()))
    factors = {name: listed(levels) for name, levels in dict(m.get("factors") or {}).items()}
    if isinstance(m.get("visits"), list) and m.get("visit"):
        factors.setdefault(m["visit"], m["visits"])
    if file == "sas":
        factors, blocks = dict(FEV), (_sas_block(m),)
    return Model(
        file, key, m.get("program", "dense formulas"), m.get("data", file), m.get("formula", ""),
        m.get("random"), m.get("structure"), m.get("method", "").lower(), m.get("subject", ""),
        m.get("visit"), m.get("group"), m.get("weights"), factors, blocks, m,
    )  # fmt: skip


def _native_block(block):
    tables = dict(block)
    tables["contrasts"] = block.get("contrasts_revpairwise")
    method = block["df_method"]
    default = "kenward_roger" if method == "kenward_roger" else "model"
    return StoredBlock(method, block.get("vcov_method", default), block["information"], tables)


def _sas_block(m):
    names = ("coefficients", "type3", "emmeans", "differences")
    tables = {name: m[name] for name in names if name in m}
    return StoredBlock(m["df_method"], m["vcov_method"], "observed", tables)


def _classic(file, key, m):
    formula = m.get("fixed") or _without_brackets(m.get("formula", ""))
    fev, by_visit = file == "fev", "agef" in formula
    factors = {} if file == "sleepstudy" else FEV if fev else ORTHODONT
    unbalanced = file == "sleepstudy" and key.startswith("unbal_")
    return Model(
        file, key, m["peer"], "sleepstudy_unbalanced" if unbalanced else file, formula,
        _random(m), _structure(key, m), (m.get("estimation") or "REML").lower(),
        "usubjid" if fev else "subject", "avisit" if fev else "agef" if by_visit else None,
        "armcd" if "_by_arm" in key else None, m.get("weights"), factors,
        tuple(_classic_block(b) for b in m.get("inference", ())), m,
    )  # fmt: skip


def _without_brackets(formula):
    """Drop mmrm's covariance term or lme4's random terms: both stand in brackets after a plus."""
    return re.sub(r" \+ \w*\([^()]*\|[^()]*\)", "", formula)


def _random(m):
    if m["peer"].startswith("lme4"):
        return " + ".join(re.findall(r"\([^()]*\|[^()]*\)", m["formula"]))
    return f"({m['random'].removeprefix('~')})" if m.get("random") else None


def _structure(key, m):
    random = "structure" not in m and not key.startswith("clubsandwich")
    if random or m["peer"] == "glmmTMB":
        return None if "_us_" not in key else "un"
    if "spatial" in key:
        return "sp_exp"
    code = key.split("_")[1].lower()
    return _STRUCTURE.get(code, code)


def _classic_block(block):
    method = block["df_method"].lower().replace("-", "_")
    # lme4 blocks name no covariance: lmerTest uses the observed information, pbkrtest the expected
    peer_kr = "vcov_method" not in block and method == "kenward_roger"
    vcov = _VCOV[block["vcov_method"]] if "vcov_method" in block else None
    means = (block.get("emmeans") or [{}])[0]
    tables = {
        **block,
        "emmeans": means.get("means"),
        "contrasts": means.get("contrasts_revpairwise"),
        "linfct": means.get("linfct"),
    }
    vcov = vcov or ("kenward_roger" if peer_kr else "model")
    return StoredBlock(method, vcov, "expected" if peer_kr else "observed", tables)
