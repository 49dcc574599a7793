"""Programs that fit the same model: equal log-likelihood and standard errors, then their times."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import designs
import numpy as np
from peer_process import PeerError, PeerProcess
from stopwatch import Row, Took, compared, find_median

# Absolute and relative. So near the top in log-likelihood, standard errors still move by some
# thousandths: optimisers stop where they like.
LOGLIK, SE = 1e-4, 5e-3
ROUNDS = 5
# A program that needs longer than this for one fit is timed once, after none to warm it.
_SLOW = 5.0
_NAMES = {
    "gls": "nlme gls", "statsmodels": "statsmodels MixedLM", "mixedlm": "mixedlm lmer",
    "lme4": "lme4 lmer", "lme-python": "lme-python lmer", "mixedlm-rs": "mixedlm-rs",
    "aibmd": "aibmd",
}  # fmt: skip
_INTERCEPTS = ("statsmodels", "mixedlm", "mixedlm-rs", "lme-python", "lme4")


@dataclass(slots=True)
class Contestant:
    """A program and what it said in every round."""

    process: PeerProcess
    said: list[dict] = field(default_factory=list)
    failure: str = ""

    @property
    def name(self):
        return f"{_NAMES[self.process.program]} {self.process.version}"

    @property
    def took(self):
        return find_median([Took(one["seconds"], one["wall"]) for one in self.said])


def peer_rows(n_subjects=372, slope_sizes=(1000, 5000, 25_000), seconds=120.0):
    """`un`, `cs` and random slopes; `seconds` is the longest a single fit may take."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        trial, size = Path(folder) / "trial.csv", f"{n_subjects} x 5 visits"
        designs.text_frame(designs.make_trial(n_subjects)).to_csv(trial, index=False)
        rows += compare("un", f"un, {size}", trial, ("gls",), n_subjects, seconds)
        rows += compare("cs", f"cs, {size}", trial, ("gls", *_INTERCEPTS), n_subjects, seconds)
        programs = list(_INTERCEPTS)
        for n in slope_sizes:
            path = Path(folder) / f"slopes_{n}.csv"
            designs.slopes(n).to_csv(path, index=False)
            what = f"random intercept and slope, {n:,} x 4"
            found = compare("slope", what, path, programs, n, seconds)
            rows += found + [_left_out(what, p) for p in _INTERCEPTS if p not in programs]
            programs = [p for p in programs if _is_quick(p, found, seconds)]
    return rows


def compare(model, what, path, programs, n_subjects, seconds):
    """One row a program; ratio is its time over ours."""
    ours, others, rows = None, [], []
    try:
        ours = Contestant(PeerProcess("aibmd"))
        for program in programs:
            try:
                others.append(Contestant(PeerProcess(program)))
            except PeerError as error:
                rows.append(Row(f"{what}: {_NAMES[program]}", equal=f"not run: {error}"))
        run_rounds([ours, *others], model, path, seconds)
    finally:
        for one in [ours, *others]:
            if one is not None:
                one.process.close()
    if ours.failure:
        raise RuntimeError(f"aibmd failed on {what}: {ours.failure}")
    first = Row(f"{what}: whole aibmd call", ours.took, series=_series(model, "aibmd"),
                subjects=n_subjects)  # fmt: skip
    return [first, *(to_row(one, ours, model, what, n_subjects) for one in others), *rows]


def run_rounds(contestants, model, path, seconds):
    """Every program once a round; slow ones sit out after their first fit."""
    for count in range(1 + ROUNDS):
        for one in contestants:
            if one.failure or (count and one.said[0]["wall"] > _SLOW):
                continue
            try:
                one.said.append(one.process.ask(model, path, seconds))
            except PeerError as error:
                one.failure = str(error)
    for one in contestants:
        if len(one.said) > 1:
            del one.said[0]  # it warmed the program


def to_row(one, ours, model, what, n_subjects):
    """The time counts only beside an equal answer."""
    label = f"{what}: {one.name}"
    if one.failure:
        return Row(label, equal=f"not counted: {one.failure}")
    loglik, expected = one.said[-1]["loglik"], ours.said[-1]["loglik"]
    se, expected_se = np.array(one.said[-1]["se"]), np.array(ours.said[-1]["se"])
    if len(se) != len(expected_se):
        return Row(label, equal=f"not counted: {len(se)} coefficients, not {len(expected_se)}")
    apart = float(np.max(np.abs(se / expected_se - 1)))
    says = f"llf {loglik - expected:+.1e}, SE {apart:.0e}"
    if not (abs(loglik - expected) <= LOGLIK and apart <= SE):
        return Row(label, equal=f"not counted, another answer: {says}")
    return compared(label, one.took, ours.took, "aibmd, with Satterthwaite df",
               equal=says, series=_series(model, _NAMES[one.process.program]),
               subjects=n_subjects)  # fmt: skip


def _series(model, name):
    """Where the plot has this row; ours of `un` stands there already, from categories."""
    return name if model == "slope" or (model == "un" and name != "aibmd") else ""


def _left_out(what, program):
    return Row(f"{what}: {_NAMES[program]}", equal="not run: too slow, or no answer, at fewer")


def _is_quick(program, rows, seconds):
    """Whether five times the subjects may still fit into the time allowed."""
    mine = [row for row in rows if f": {_NAMES[program]} " in row.what]
    took = mine[0].took if mine else None
    return took is not None and 6 * took.wall < seconds
