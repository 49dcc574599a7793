"""Row features of a design, for any covariance."""

from aibmd.model.covariance.build import CovarianceChoice
from aibmd.model.covariance.features import RandomPart, RowFeatures
from aibmd.model.design import cell_codes
from aibmd.model.rows import AnalysedRows


def build_features(
    rows: AnalysedRows,
    choice: CovarianceChoice | None = None,
    random: tuple[RandomPart, ...] = (),
) -> RowFeatures:
    """What the covariance of rows depends on, in long form.

    Parameters
    ----------
    rows : AnalysedRows
    choice : CovarianceChoice, optional
        A plain structure with a second repeated factor takes every cell as a visit.
    random : tuple of RandomPart
    """
    over_cells = choice is not None and choice.left is None and rows.repeated is not None
    return RowFeatures(
        visit=cell_codes(rows, with_group=False) if over_cells else rows.visit,
        repeated=None if rows.repeated is None or over_cells else rows.repeated.codes,
        group=None if rows.group is None else rows.group.codes,
        residual_group=None if rows.residual_group is None else rows.residual_group.codes,
        time=rows.time,
        random=random,
    )
