"""Read the stored peer results, in one shape whatever program wrote them."""

from dataclasses import dataclass

import pandas as pd
from stored_files import FEV, HERE, ORTHODONT, ROOT, listed, load, printed, read_data
from stored_models import Model, StoredBlock, load_model, model_keys

__all__ = [
    "FEV", "HERE", "ORTHODONT", "ROOT", "Block", "Case", "Model", "StoredBlock", "direct_cases",
    "formulaic_name", "load", "load_model", "mmrm_cases", "model_keys", "position", "printed",
    "read_data",
]  # fmt: skip
_STRUCTURES = {"us": "un", "un": "un", "cs": "cs"}
_PLAIN = {("Satterthwaite", "Asymptotic"), ("Kenward-Roger", "Kenward-Roger-Linear")}


@dataclass(frozen=True)
class Block:
    """Inference of one model under one df method and one kind of information."""

    df_method: str
    information: str
    tables: dict

    def table(self, name):
        return pd.DataFrame(self.tables[name]) if name in self.tables else None


@dataclass(frozen=True)
class Case:
    """One stored model: what to fit and what came out elsewhere."""

    dataset: str
    model: str
    exact: bool  # polished by Newton steps: compare to the last digits
    formula: str
    subject: str
    visit: str
    structure: str
    method: str
    factors: dict
    over: tuple
    by: tuple
    numbers: dict
    blocks: tuple

    @property
    def id(self):
        return f"{self.dataset}-{self.model}"

    @property
    def data(self):
        return read_data(
            self.dataset, self.model, tuple((k, tuple(v)) for k, v in self.factors.items())
        )


def mmrm_cases():
    """The models fitted with R mmrm."""
    common = {
        "fev": (
            "fev1 ~ race + sex + armcd * avisit",
            "usubjid",
            "avisit",
            FEV,
            ("armcd",),
            ("avisit",),
        ),
        "orthodont": ("distance ~ sex * agef", "subject", "agef", ORTHODONT, ("sex",), ("agef",)),
    }
    out = []
    for dataset, (formula, subject, visit, factors, over, by) in common.items():
        for key, m in load(dataset)["models"].items():
            if not key.startswith("mmrm_") or m["structure"] not in _STRUCTURES:
                continue
            text = (
                formula
                if key != "mmrm_us_baseline"
                else ("fev1 ~ fev1_bl * avisit + race + sex + armcd * avisit")
            )
            blocks = tuple(_mmrm_block(b) for b in m["inference"] if _plain(b))
            out.append(
                Case(dataset, key, False, text, subject, visit, _STRUCTURES[m["structure"]],
                     m["estimation"].lower(), factors, over, by, m, blocks)
            )  # fmt: skip
    return out


def _plain(block):
    """Model-based covariance and the df that go with it; load_model gives the others."""
    return (block["df_method"], block["vcov_method"]) in _PLAIN


def _mmrm_block(block):
    method = block["df_method"].lower().replace("-", "_")
    means = block["emmeans"][0]
    tables = {
        "coefficients": block["coefficients"],
        "type3": block["type3"],
        "emmeans": means["means"],
        "contrasts": means["contrasts_revpairwise"],
    }
    return Block(method, "observed", tables)


def direct_cases(*names):
    """The models of tests/reference/scripts, polished to the last digits."""
    out = []
    for dataset in names:
        for key, m in load(dataset)["models"].items():
            grid = pd.DataFrame(m.get("emmeans_grid", []))
            by = (m["visit"],) if m["visit"] in grid and len(grid.columns) > 1 else ()
            over = tuple(c for c in grid if c not in by)
            blocks = tuple(_direct_block(b, m, grid) for b in m["inference"])
            factors = dict(m["factors"])
            factors[m["visit"]] = listed(m["visits"])
            factors = {k: listed(v) for k, v in factors.items()}
            out.append(
                Case(dataset, key, True, m["formula"], m["subject"], m["visit"], m["structure"],
                     m["method"].lower(), factors, over, by, m, blocks)
            )  # fmt: skip
    return out


def _direct_block(block, model, grid):
    tables = {"coefficients": block["coefficients"], "type3": block["type3"]}
    if "emmeans" in block:
        keys = pd.DataFrame(model["contrast_grid"])
        tables["emmeans"] = pd.concat([grid, pd.DataFrame(block["emmeans"])], axis=1)
        tables["contrasts"] = pd.concat(
            [keys, pd.DataFrame(block["contrasts_revpairwise"])], axis=1
        )
    return Block(block["df_method"], block["information"], tables)


def formulaic_name(name, factors):
    """Spell R's coefficient name as formulaic does: armcdTRT -> armcd[T.TRT]."""
    if name == "(Intercept)":
        return "Intercept"
    return ":".join(_formulaic_part(part, factors) for part in name.split(":"))


def _formulaic_part(part, factors):
    for factor, levels in factors.items():
        for level in levels:
            if part == factor + level:
                return f"{factor}[T.{level}]"
    return part


def position(name, available):
    """Where a name stands among others, whatever the order inside an interaction."""
    wanted = sorted(name.split(":"))
    return [sorted(a.split(":")) for a in available].index(wanted)
