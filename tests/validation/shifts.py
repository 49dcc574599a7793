"""Stored reference numbers moved by ten tolerances, one file and one quantity at a time."""

import math

import stored_files
import tolerances as tol

TIMES = 10.0
# Files whose numbers other programs left where they stop; all others were polished.
AS_PEERS_STOP = ("fev", "orthodont", "sleepstudy", "means_adjusted")
# In tables, by the name of the column; {} is EXACT, PEER or SAS.
COLUMNS = {
    "estimate": "{}_ESTIMATE_IN_SE", "se": "{}_SE", "std_error": "{}_SE", "df": "{}_DF",
    "den_df": "{}_DF", "F": "{}_STATISTIC",
}  # fmt: skip
# Matrices and numbers of a model, by key.
VALUES = {
    "loglik": "{}_LOGLIK", "minus2_loglik": "{}_LOGLIK", "cov": "{}_COVARIANCE",
    "covariance": "{}_COVARIANCE", "random_cov": "{}_COVARIANCE",
    "random_covariance": "{}_COVARIANCE", "residual_variance": "{}_COVARIANCE",
    "theta": "{}_COVARIANCE", "vcov": "{}_SE", "beta_without": "PEER_SE",
    "theta_without": "PEER_COVARIANCE", "lower": "PEER_SE", "upper": "PEER_SE",
    "theta_information_observed": "EXACT_INFORMATION",
    "theta_information_expected": "EXACT_INFORMATION",
}  # fmt: skip
# Not numbers of ours to compare: what other programs estimate on the way, or keep for themselves.
_SKIP = ("default_optimiser", "theta_vcov", "mmrm", "agreement", "linfct", "type3_L",
         "sas_off_in_half_units_or_relative")  # fmt: skip


def kind_of(file):
    if file == "sas":
        return "SAS"
    return "PEER" if file in AS_PEERS_STOP else "EXACT"


def quantities(file):
    """What a file holds of the quantities above."""
    found = set()
    _walk(_models(file), lambda holder, key, name: found.add(name))
    return sorted(found)


def shift(file, quantity):
    """Move every number of that quantity, in place: whoever loads the file sees it moved."""
    kind = kind_of(file)

    def move(holder, key, name):
        if name == quantity:
            holder[key] = _moved(holder, key, name, kind)

    _walk(_models(file), move)


def _models(file):
    stored = stored_files.load(file)
    return stored.get("models", stored)


def _moved(holder, key, name, kind):
    value = holder[key]
    if isinstance(value, str):
        return _moved_text(holder, key, name)
    pattern = COLUMNS.get(name) or VALUES[name]
    step = TIMES * getattr(tol, _known(pattern.format(kind)))
    if name == "loglik":
        return value + step
    if name == "estimate":
        return value + step * _se_of(holder)
    return value * (1.0 + step)


def _known(name):
    return name if hasattr(tol, name) else name.replace("SAS_", "PEER_")


def _moved_text(holder, key, name):
    """A printed number, with its digits; at least ten times its rounding as well."""
    value, half_unit = stored_files.printed(holder[key])
    decimals = len(holder[key].partition(".")[2])
    limits = {
        "estimate": tol.SAS_ESTIMATE_IN_SE * _se_of(holder), "se": tol.SAS_SE * abs(value),
        "df": tol.SAS_DF * value, "den_df": tol.SAS_DF * value, "F": tol.SAS_F * value,
        "minus2_loglik": tol.SAS_MINUS2_LOGLIK,
    }  # fmt: skip
    step = TIMES * (half_unit + limits[name])
    return f"{value + step:.{decimals}f}"


def _se_of(holder):
    for key in ("se", "std_error"):
        if key in holder:
            text = holder[key]
            return stored_files.printed(text)[0] if isinstance(text, str) else text
    return 1.0


def _walk(node, visit):
    """Call visit(holder, key, name) for every number under one of the names."""
    if isinstance(node, list):
        for item in node:
            _walk(item, visit)
    if not isinstance(node, dict):
        return
    is_row = isinstance(node.get("estimate", node.get("F")), (int, float, str))
    for key, value in node.items():
        if key in _SKIP:
            continue
        if key in COLUMNS and is_row and _is_number(value):
            visit(node, key, key)
        elif key in ("lower", "upper") and not _is_profile(node):
            continue
        elif key in VALUES and _is_number(value):
            visit(node, key, key)
        elif key in VALUES and isinstance(value, (list, dict)):
            _walk_matrix(value, key, visit)
        else:
            _walk(value, visit)


def _is_profile(row):
    """Limits of other tables follow from estimate, standard error and df."""
    return "parameter" in row and "se" not in row


def _walk_matrix(node, name, visit):
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if key in ("rows", "cols"):
            continue
        if isinstance(value, (list, dict)):
            _walk_matrix(value, name, visit)
        elif _is_number(value):
            visit(node, key, name)


def _is_number(value):
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        return value.replace(".", "", 1).replace("-", "", 1).isdigit()
    return isinstance(value, (int, float)) and math.isfinite(value)
