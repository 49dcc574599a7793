"""Where a call's time goes: processor time of its stages, in the best of many calls.

    python benchmarks/stages.py [SUBJECTS ...]

The best of many is least disturbed by other programs; the calls are whole, and each stage is
a function of the package with a clock around it. Stages that start inside another (`>`) are
part of it; "the rest" is what no stage covers.
"""

import one_thread  # noqa: F401, I001

import importlib
import sys
import time
from collections import defaultdict

import designs
from from_arrays import call_mmrm, call_slopes

# Module, function, what it does. Indented: inside the stage before.
MMRM = (
    ("fitting.mmrm", "guard_formula", "guard and parse the formula"),
    ("fitting.mmrm", "build_design", "design"),
    ("model.design", "read_wide", "> read subject by visit"),
    ("model.design", "select_rows", "> select and code rows"),
    ("model.design", "model_matrix", "> formulaic, long form"),
    ("model.design", "code_wide", "> formulaic, a row per subject and per visit"),
    ("model.design", "collect_cross_products", "> cross-products, long form"),
    ("model.design", "collect_from_wide", "> cross-products, subject by visit"),
    ("fitting.mmrm", "fit_engine", "maximise and certify"),
    ("fitting.mmrm", "build_inference", "inference"),
)
SLOPES = (
    ("fitting.lmm", "guard_formula", "guard and parse the formula"),
    ("fitting.lmm", "build_design", "design"),
    ("model.design", "select_rows", "> select and code rows"),
    ("model.design", "model_matrix", "> formulaic"),
    ("model.design", "fit_least_squares", "> least squares"),
    ("fitting.lmm", "code_effects", "columns of the random effects"),
    ("fitting.lmm", "subject_criterion", "products by subject"),
    ("fitting.lmm", "fit_engine", "maximise and certify"),
    ("fitting.lmm", "build_inference", "inference"),
)


class Clocks:
    """Seconds spent in named functions during one call."""

    def __init__(self, stages):
        self.spent = defaultdict(float)
        self.undo = []
        for module_name, function, label in stages:
            module = importlib.import_module(f"aibmd.{module_name}")
            if not hasattr(module, function):
                raise SystemExit(f"aibmd.{module_name} has no {function} any more: mend stages.py")
            original = getattr(module, function)
            setattr(module, function, self._clocked(original, label))
            self.undo.append((module, function, original))

    def _clocked(self, original, label):
        def clocked(*args, **kwargs):
            started = time.process_time()
            try:
                return original(*args, **kwargs)
            finally:
                self.spent[label] += time.process_time() - started

        return clocked

    def remove(self):
        """Put the package's functions back."""
        for module, function, original in self.undo:
            setattr(module, function, original)


def best_times(call, stages, rounds):
    """Seconds of each stage in the quickest of several calls."""
    call()
    best = {"whole call": float("inf")}
    for _ in range(rounds):
        clocks = Clocks(stages)
        started = time.process_time()
        call()
        whole = time.process_time() - started
        clocks.remove()
        if whole < best["whole call"]:
            best = {"whole call": whole, **clocks.spent}
    top = sum(v for k, v in best.items() if not k.startswith(">") and k != "whole call")
    return best | {"the rest": best["whole call"] - top}


def show(title, best, stages):
    """Milliseconds and share of the whole, in the order of the call."""
    order = ["whole call", *(label for *_, label in stages), "the rest"]
    print(f"\n{title}\n\n| stage | ms | share |\n|---|---:|---:|")
    for label in order:
        if label in best:
            share = best[label] / best["whole call"]
            print(f"| {label} | {best[label] * 1e3:.2f} | {share:.0%} |")


def main():
    sizes = [int(n) for n in sys.argv[1:]] or [372, 100_000]
    for n in sizes:
        rounds = 100 if n < 5000 else 8
        frame = designs.category_frame(designs.make_trial(n))
        best = best_times(lambda frame=frame: call_mmrm(designs.BMD_FORMULA, frame), MMRM, rounds)
        show(f"fit_mmrm, un, {n:,} x 5 visits, Satterthwaite", best, MMRM)
        frame = designs.slopes(n)
        best = best_times(lambda frame=frame: call_slopes(frame), SLOPES, rounds)
        show(f"fit_lmm, random intercept and slope, {n:,} x 4, Satterthwaite", best, SLOPES)


if __name__ == "__main__":
    main()
