"""Stage `bmd_change`: change of bone density after an aromatase inhibitor is withdrawn."""

from aibmd.bmd_change.flow import tabulate_flow
from aibmd.bmd_change.groups import derive_withdrawal_groups
from aibmd.bmd_change.mixture import tabulate_mixture
from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.bmd_change.withdrawal import WithdrawalResult, fit_withdrawal

__all__ = [
    "WithdrawalQuestion",
    "WithdrawalResult",
    "derive_withdrawal_groups",
    "fit_withdrawal",
    "tabulate_flow",
    "tabulate_mixture",
]
