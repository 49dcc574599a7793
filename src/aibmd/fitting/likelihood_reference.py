"""The reference distribution of a likelihood ratio, where theory has one.

Labels (L2) and (L3) are those of docs/methods/likelihood_ratio.md.
"""

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference.nesting import Nesting, find_nesting

_BOOTSTRAP = "give reference='bootstrap' and rng="


def tail_from_theory(
    smaller: MixedFit, larger: MixedFit, statistic: float, df: int
) -> tuple[str, float]:
    """(L2) and (L3): the reference distribution by name, and the tail beyond the statistic."""
    from scipy.special import chdtrc

    nesting = find_nesting(smaller.engine.asked, larger.engine.asked)
    _refuse_without_theory(smaller, larger, nesting)
    if nesting is not None and nesting.n_variances == 1:
        lower = float(chdtrc(df - 1, statistic)) if df > 1 else float(statistic <= 0)
        return (
            f"50:50 mixture of chi-squares on {df - 1} and {df} df (one variance at its bound)",
            0.5 * lower + 0.5 * float(chdtrc(df, statistic)),
        )
    return f"chi-square on {df} df", float(chdtrc(df, statistic))


def _refuse_without_theory(smaller: MixedFit, larger: MixedFit, nesting: Nesting | None) -> None:
    if nesting is None:
        raise AibmdError(
            f"{describe_model(smaller)} is not known to be a special case of "
            f"{describe_model(larger)}; compare their AIC, or {_BOOTSTRAP}"
        )
    if nesting.n_variances > 1 or nesting.on_other_boundary:
        what = (
            f"{nesting.n_variances} variances are zero in the smaller model"
            if nesting.n_variances > 1
            else "a correlation lies at its bound in the smaller model"
        )
        raise AibmdError(f"{what}, for which no simple reference distribution holds; {_BOOTSTRAP}")
    if smaller.singular and not _has_same_covariance(smaller, larger):
        raise AibmdError(
            "the smaller fit lies itself on the boundary of its covariance parameters, so that no "
            f"chi-square holds; {_BOOTSTRAP}, or drop the random effect that has no variance"
        )


def _has_same_covariance(smaller: MixedFit, larger: MixedFit) -> bool:
    """Whether the fits differ in fixed effects alone."""
    return smaller.engine.parameter_names == larger.engine.parameter_names


def describe_model(fit: MixedFit) -> str:
    """Formula and covariance in one line."""
    spec = fit.spec
    if fit.choice is not None:
        by = "" if spec.group is None else f" by {spec.group}"
        return f"{spec.formula}, covariance {fit.choice.text}{by}"
    by = "" if spec.residual_group is None else f" by {spec.residual_group}"
    residual = (
        "" if spec.residual == "independent" and not by else f", residual {spec.residual}{by}"
    )
    diagonal = "" if spec.random_covariance == "full" else " (diagonal)"
    return f"{spec.formula}, random {spec.random}{diagonal}{residual}"
