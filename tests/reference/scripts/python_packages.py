"""What other Python packages return on models of this folder: writes peers/python_packages.json.

Run in an environment of its own with statsmodels, mixedlm, mixedlm-rs and lme-python, from the top
of the repository: `python tests/reference/scripts/python_packages.py`. Each fit is the package's
documented call with its defaults; what it prints as a warning is kept.
"""

import json
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parents[1]
# Models of random_slopes.json with one grouping, which all four packages can express.
KEYS = (
    "irregular_rs_reml", "irregular_ri_reml", "sleepstudy_rs_reml", "sleepstudy_unbalanced_rs_reml",
    "orthodont_rs_reml", "orthodont_ri_reml",
)  # fmt: skip
STORED = json.loads((HERE / "peers" / "random_slopes.json").read_text(encoding="utf-8"))["models"]


def read(model):
    data = pd.read_csv(HERE / "data" / f"{model['data']}.csv")
    for name, levels in (model["factors"] or {}).items():
        data[name] = pd.Categorical(data[name], levels)
    # Subjects as text: a number would enter some formulas as a line.
    return data.assign(subject=data["subject"].astype(str))


def slope_of(model):
    return model["random"].strip("()").partition("|")[0].replace("1 +", "").strip()


def statsmodels_fit(model, data):
    import statsmodels.formula.api as smf

    slope = slope_of(model)
    re_formula = "1" if slope == "1" else f"1 + {slope}"
    fit = smf.mixedlm(model["formula"], data, groups="subject", re_formula=re_formula).fit(
        reml=True
    )
    return _like_statsmodels(fit)


def mixedlm_rs_fit(model, data):
    from mixedlm_rs import mixedlm

    slope = slope_of(model)
    re_formula = "1" if slope == "1" else f"1 + {slope}"
    fit = mixedlm(model["formula"], data, groups="subject", re_formula=re_formula).fit(reml=True)
    return _like_statsmodels(fit)


def _like_statsmodels(fit):
    G = np.asarray(fit.cov_re, dtype=float)
    names = [str(n) for n in fit.model.exog_names]
    return {
        "loglik": float(fit.llf),
        "names": names,
        "estimate": np.asarray(fit.fe_params, dtype=float).tolist(),
        "se": np.asarray(fit.bse_fe, dtype=float).tolist(),
        "theta": [*G[np.triu_indices(len(G))].tolist(), float(fit.scale)],
        "converged": bool(fit.converged),
    }


def mixedlm_fit(model, data):
    import mixedlm

    fit = mixedlm.lmer(f"{model['formula']} + {model['random']}", data, REML=True)
    found = {method: getattr(mixedlm, f"{method}_df")(fit) for method in DF}
    tables = {m: mixedlm.pvalues_with_ddf(fit, method=w) for m, w in DF.items()}
    fixed = fit.fixef()
    return {
        "loglik": float(getattr(fit.logLik(), "value", fit.logLik())),
        "names": list(fixed),
        "estimate": [float(v) for v in fixed.values()],
        "df": {m: _by_name(one) for m, one in found.items()},
        # (estimate, t, p): the standard error is their ratio.
        "se": {m: {n: float(row[0] / row[1]) for n, row in t.items()} for m, t in tables.items()},
        "converged": bool(mixedlm.convergence_ok(fit)),
    }


def _by_name(found):
    return {name: float(df) for name, df in zip(found.param_names, found.df, strict=True)}


def lme_python_fit(model, data):
    import lme_python
    import polars

    plain = {name: data[name].astype(str if name in (model["factors"] or {}) else data[name].dtype)
             for name in data}  # fmt: skip
    table = polars.DataFrame({name: column.tolist() for name, column in plain.items()})
    fit = lme_python.lmer(f"{model['formula']} + {model['random']}", table, True)
    done = {
        "loglik": float(fit.log_likelihood),
        "names": list(fit.fixed_names),
        "estimate": list(fit.coefficients),
        "se": list(fit.std_errors),
        # (group, effect, other effect, covariance); the last column, a standard deviation, is left.
        "variances": [list(row[:4]) for row in fit.var_corr],
        "residual_variance": float(fit.sigma2),
        "converged": fit.converged,
    }
    done["df"], done["se_after"] = {}, {}
    for method in DF:
        getattr(fit, f"with_{method}")(table)
        done["df"][method] = list(getattr(fit, f"{method}_dfs"))
        done["se_after"][method] = list(fit.std_errors)
    return done


# Their names of the two methods.
DF = {"satterthwaite": "Satterthwaite", "kenward_roger": "Kenward-Roger"}
PACKAGES = {
    "statsmodels": statsmodels_fit,
    "mixedlm": mixedlm_fit,
    "mixedlm-rs": mixedlm_rs_fit,
    "lme-python": lme_python_fit,
}


def attempt(fit, model, data):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = fit(model, data)
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"[:300]}
    result["warnings"] = sorted({f"{w.category.__name__}: {w.message}"[:160] for w in seen})
    return result


def main():
    models = {}
    for key in KEYS:
        model = STORED[key]
        data = read(model)
        models[key] = {name: attempt(fit, model, data) for name, fit in PACKAGES.items()}
    meta = {"python": platform.python_version(), "packages": {n: version(n) for n in PACKAGES}}
    meta["packages"]["numpy"] = version("numpy")
    out = {"meta": meta, "dataset": "models of random_slopes.json", "models": models}
    path = HERE / "peers" / "python_packages.json"
    path.write_text(json.dumps(out, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
