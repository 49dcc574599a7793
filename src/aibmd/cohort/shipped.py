"""The synthetic cohorts that come with the package."""

import tomllib
from pathlib import Path

import pandas as pd

from aibmd.cohort.cohort import Cohort
from aibmd.cohort.read import read_cohort
from aibmd.cohort.schema import SYNTHETIC
from aibmd.cohort.write import truth_path
from aibmd.errors import AibmdError
from aibmd.resources import data_path
from aibmd.vocabulary import SUBJECT, VISIT

_BASELINE = "baseline visit"


def load_cohort(name: str) -> Cohort:
    """Load a synthetic cohort that comes with the package.

    Parameters
    ----------
    name : str
        For example ``"brex"``.

    Returns
    -------
    Cohort
        Marked as synthetic, with the generator's `truth`.

    Raises
    ------
    AibmdError
        If there is no such cohort; the message lists those there are.

    Notes
    -----
    No woman in it exists. Published numbers were used to set its design, so it cannot
    serve as evidence for them.
    """
    available = list_cohorts()
    if name not in available:
        listed = ", ".join(available) or "none"
        raise AibmdError(f"There is no shipped cohort {name!r}. Available: {listed}.")
    path = data_path("synthetic", f"{name}.csv")
    frame = read_cohort(path).to_frame()
    return Cohort.from_long(
        frame,
        time_zero=_time_zero(path.with_suffix(".toml")),
        truth=_read_truth(truth_path(path), list(frame[VISIT].cat.categories)),
        synthetic=True,
        source=f"shipped cohort {name}",
    )


def list_cohorts() -> tuple[str, ...]:
    """Names of the shipped cohorts."""
    paths = data_path("synthetic").glob("*.csv")
    return tuple(sorted(p.stem for p in paths if not p.stem.endswith("_truth")))


def _read_truth(path: Path, visits: list[str]) -> pd.DataFrame | None:
    """Truth table with ids as text, since 007 is no number, and visits in order."""
    if not path.is_file():
        return None
    # The mark belongs to the file; a cohort says by itself that it is synthetic.
    truth = pd.read_csv(path, dtype={SUBJECT: "str"}).drop(columns=SYNTHETIC, errors="ignore")
    # The file writes 5.0 as 5; the generator's table holds floats.
    truth = truth.astype(dict.fromkeys(truth.select_dtypes("int64").columns, "float64"))
    if VISIT in truth.columns:
        truth[VISIT] = pd.Categorical(truth[VISIT].astype("str"), categories=visits, ordered=True)
    return truth


def _time_zero(design: Path) -> str:
    """What the design file says time counts from."""
    if not design.is_file():
        return _BASELINE
    return str(tomllib.loads(design.read_text(encoding="utf-8")).get("time_zero", _BASELINE))
