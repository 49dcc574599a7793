"""One call for every kind of model, so that a law can be stated once for all of them."""

import warnings
from dataclasses import dataclass, field

import made_trials
import numpy as np
import pandas as pd

import aibmd


@dataclass(frozen=True)
class Model:
    """A covariance, with the formula that goes with its table."""

    name: str
    options: dict = field(default_factory=dict)
    two_sites: bool = False
    has_effects: bool = False

    @property
    def formula(self):
        if self.has_effects:
            return "y ~ arm * time + center + x"
        return "y ~ arm * visit + center + x" + (" + site" if self.two_sites else "")


MODELS = [
    *(Model(name, {"covariance": name}) for name in ("un", "cs", "toeph", "ar1h", "csh", "adh")),
    Model("sp_exp", {"covariance": "sp_exp", "time": "time"}),
    Model("un@ar1", {"covariance": "un@ar1", "repeated": "site"}, two_sites=True),
    Model("ar1h by arm", {"covariance": "ar1h", "group": "arm"}),
    Model("slope", {"random": "1 + time"}, has_effects=True),
    Model("slopes of sites", {
        "random": {"who": "1 + time", "who:site": "1"},
        "residual_group": "site",
    }, two_sites=True, has_effects=True),
]  # fmt: skip


def make_table(model, seed):
    """Subjects whose levels and slopes differ, so that every covariance has an inner maximum."""
    n_subjects, n_visits = 40, 4
    table = made_trials.make_trial(seed, n_subjects * (1 + model.two_sites), n_visits, gaps=0.12)
    rng = np.random.default_rng(seed)
    unit = table["who"]  # a site of a subject where there are two
    if model.two_sites:
        table["site"] = np.where(unit % 2 == 0, "hip", "spine")
        table["who"] = unit // 2
    step = table["visit"].str[1:].astype(float)
    table["time"] = step + rng.uniform(0, 0.4, len(table))
    level, slope = rng.normal(size=(2, n_subjects))
    own = rng.normal(size=2 * n_subjects)
    table["y"] *= 0.7
    table["y"] += 1.2 * level[table["who"]] + 0.5 * slope[table["who"]] * step + 0.6 * own[unit]
    first = table.groupby("who").head(1).set_index("who")
    table["arm"] = np.where(table["who"] % 2 == 0, "a", "b")
    table["center"] = table["who"].map(first["center"])
    return table


def fit(model, table, formula=None, **options):
    """The fit and the warnings that came with it."""
    call = aibmd.fit_lmm if model.has_effects else aibmd.fit_mmrm
    given = {"subject": "who"} | ({} if model.has_effects else {"visit": "visit"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call(formula or model.formula, table, **(given | model.options | options))
    return found, sorted(str(w.message) for w in caught)


def copy_subjects(table):
    """Every subject once more, under a name of its own."""
    again = table.assign(who=table["who"] + 1000)
    return pd.concat([table, again], ignore_index=True)
