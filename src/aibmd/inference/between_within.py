"""Between-within degrees of freedom, label (D1) of docs/methods/degrees_of_freedom.md."""

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import FloatArray, IntArray


def compute_column_df(X: FloatArray, subject: IntArray) -> FloatArray:
    """Degrees of freedom of each column of X (D1).

    A column that is constant within every subject is tested between subjects, on subjects
    minus between columns; any other within, on rows minus subjects minus within columns. The
    intercept is a column within subjects, as in R mmrm.

    Parameters
    ----------
    X : (n, p) array
    subject : (n,) int array

    Raises
    ------
    AibmdError
        No degrees of freedom are left on one side.
    """
    first = np.zeros(int(subject.max()) + 1, dtype=np.intp)
    first[subject[::-1]] = np.arange(len(subject))[::-1]
    between = (X[first[subject]] == X).all(axis=0)
    is_intercept = (X[0] == X).all(axis=0)
    between &= ~is_intercept
    n_subjects = len(first)
    n_between = int(between.sum()) + int(is_intercept.any())
    df_between = n_subjects - n_between
    df_within = len(X) - n_subjects - int((~between & ~is_intercept).sum())
    df = np.where(between, float(df_between), float(df_within))
    if (df <= 0).any():
        raise AibmdError(
            f"between-within degrees of freedom do not exist here: {len(X)} rows of {n_subjects} "
            "subjects leave none between or none within subjects. Use df_method='satterthwaite', "
            "or 'residual' where every subject has one row"
        )
    return df
