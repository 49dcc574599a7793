"""Which degrees of freedom and which covariance of the coefficients, and what goes with what."""

from typing import Final, get_args

from aibmd.errors import AibmdError
from aibmd.vocabulary import DfMethod, Method, VcovMethod

DF_METHODS: Final[tuple[DfMethod, ...]] = get_args(DfMethod)
VCOV_METHODS: Final[tuple[VcovMethod, ...]] = get_args(VcovMethod)
KENWARD_ROGER: Final = ("kenward_roger", "kenward_roger_second_order")
DF_TITLES: Final = {
    "kenward_roger": "Kenward-Roger (1997, first order)",
    "kenward_roger_second_order": "Kenward-Roger (1997, second order, SAS parameters)",
    "satterthwaite": "Satterthwaite",
    "between_within": "between-within",
    "residual": "residual (rows minus coefficients)",
    "normal": "normal (infinite df)",
}
VCOV_TITLES: Final = {
    "model": "model-based",
    "CR0": "sandwich CR0",
    "CR2": "sandwich CR2, bias reduced",
    "CR3": "sandwich CR3, jackknife-like",
}


def title_df(df_method: DfMethod, vcov: VcovMethod) -> str:
    """What a df method is called beside this covariance of the coefficients."""
    if vcov != "model" and df_method == "satterthwaite":
        return "Bell-McCaffrey (Satterthwaite for the sandwich)"
    return DF_TITLES[df_method]


def choose_df_method(
    df_method: DfMethod | None,
    method: Method,
    vcov: VcovMethod = "model",
    has_sampling_weights: bool = False,
) -> DfMethod:
    """The default of each criterion, or the method asked for if it can be had."""
    if vcov not in VCOV_METHODS:
        raise AibmdError(f"vcov={vcov!r} is not available; available: {', '.join(VCOV_METHODS)}")
    if has_sampling_weights and vcov == "model":
        raise AibmdError(
            "sampling_weights need a sandwich: model-based standard errors would count weights "
            "as data. Give vcov='CR2' (few subjects) or vcov='CR0' (many)"
        )
    if df_method is None:
        return "kenward_roger" if method == "reml" and vcov == "model" else "satterthwaite"
    if df_method not in DF_METHODS:
        raise AibmdError(
            f"df_method={df_method!r} is not available; available: {', '.join(DF_METHODS)}"
        )
    if df_method in KENWARD_ROGER and vcov != "model":
        raise AibmdError(
            f"Kenward-Roger corrects the model-based covariance and vcov={vcov!r} is not that; "
            "use df_method='satterthwaite' (Bell-McCaffrey) with a sandwich"
        )
    if df_method in KENWARD_ROGER and method == "ml":
        raise AibmdError(
            "Kenward-Roger corrects REML estimates and has no meaning after method='ml'; "
            "use method='reml', or df_method='satterthwaite'"
        )
    return df_method
