"""The rows used as a table that is made when somebody looks at it.

With a million subjects most fits never need the long table again: means and tests work on the
coded pieces. The table given is kept by reference, protected by pandas' copy-on-write.
"""

from collections.abc import Callable

import pandas as pd


class FrameView:
    """Right-hand side columns of the rows used.

    Parameters
    ----------
    sample : DataFrame
        At least one row with the dtypes and categories of the whole.
    make : callable
        Builds the whole.
    """

    __slots__ = ("_frame", "_make", "sample")

    def __init__(self, sample: pd.DataFrame, make: Callable[[], pd.DataFrame]) -> None:
        self.sample = sample
        self._make: Callable[[], pd.DataFrame] | None = make
        self._frame: pd.DataFrame | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "FrameView":
        """A view of a table that exists already."""
        view = cls(frame, lambda: frame)
        view._frame = frame
        return view

    @property
    def frame(self) -> pd.DataFrame:
        """All rows used."""
        if self._frame is None:
            assert self._make is not None
            self._frame, self._make = self._make(), None
        return self._frame
