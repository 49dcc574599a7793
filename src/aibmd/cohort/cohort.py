"""`Cohort`: the scans of a group of women, and what is known once about each of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from aibmd.cohort.schema import REQUIRED, RULES
from aibmd.cohort.visits import format_label, order_visits
from aibmd.errors import CohortError
from aibmd.vocabulary import BMD, SKELETAL_SITE, SKELETAL_SITES, SUBJECT, TIME, VISIT

IntArray = npt.NDArray[np.intp]

_KEY = [SUBJECT, VISIT, SKELETAL_SITE]


# Without slots: setting a property of a frozen class with slots is a TypeError about super().
@dataclass(frozen=True, eq=False, repr=False)
class Cohort:
    """Scans in long form beside one row per subject; made by `read_cohort` or `from_long`.

    The tables are held privately and every access hands out a copy, so nothing done to
    `cohort.scans` reaches the cohort. Take the table once and keep it, rather than
    asking for it in a loop.

    Attributes
    ----------
    scans : DataFrame
        One row per subject, visit and skeletal site, sorted by them: ``subject_id`` (str),
        ``visit`` (ordered categorical), ``time`` (years from `time_zero`),
        ``skeletal_site`` (categorical), ``bmd`` (g/cm2, missing for a missed scan), then
        the columns that belong to a scan.
    subjects : DataFrame
        One row per subject: ``subject_id``, then the columns that belong to a subject.
    time_zero : str or None
        What time counts from, in words.
    truth : DataFrame or None
        What the generator knows of each subject; None for data that were read.
    synthetic : bool
        Whether the subjects were made up.
    source : str
        Where the table came from.
    """

    _scans: pd.DataFrame
    _subjects: pd.DataFrame
    _truth: pd.DataFrame | None
    time_zero: str | None
    synthetic: bool
    source: str

    def __post_init__(self) -> None:
        repeated = self._scans.duplicated(_KEY)
        if repeated.any():
            key = tuple(map(str, self._scans.loc[repeated, _KEY].iloc[0]))
            raise CohortError(
                f"{int(repeated.sum())} scans repeat a subject, visit and skeletal site, "
                f"the first {key}. Keep one scan for each."
            )
        if list(self._subjects[SUBJECT]) != list(self._scans[SUBJECT].unique()):
            raise CohortError("scans and subjects do not name the same subjects in one order")

    @classmethod
    def from_long(
        cls,
        frame: pd.DataFrame,
        time_zero: str | None = None,
        truth: pd.DataFrame | None = None,
        synthetic: bool = False,
        source: str = "a DataFrame",
    ) -> "Cohort":
        """Cohort from a clean table, one row per subject, visit and skeletal site.

        For tables a program made. It orders and splits but does not look for faults;
        `read_cohort` does. Known subject columns go to `subjects`, with the first value
        of each woman; unknown columns go there too where they never change within a woman.

        Parameters
        ----------
        frame : DataFrame
            Columns ``subject_id, visit, time, skeletal_site, bmd`` and others; not changed.
        time_zero : str, optional
            What time counts from, for example ``"randomisation"``.
        truth : DataFrame, optional
            What a generator knows of its subjects.
        synthetic : bool
            Whether the subjects were made up.
        source : str
            Where the table came from.

        Returns
        -------
        Cohort

        Raises
        ------
        CohortError
            If a required column is missing, or a subject, visit and site is repeated.

        Examples
        --------
        >>> frame = pd.DataFrame({"subject_id": ["S1", "S1"], "visit": ["year_1", "baseline"],
        ...     "time": [1.02, 0.0], "skeletal_site": "lumbar_spine", "bmd": [0.951, 0.982]})
        >>> Cohort.from_long(frame).visits
        ('baseline', 'year_1')
        """
        missing = [name for name in REQUIRED if name not in frame.columns]
        if missing:
            raise CohortError(f"The table has no column {', '.join(missing)}.")
        long = _ordered(frame)
        level = _subject_columns(long)
        subjects = long.groupby(SUBJECT, sort=False, observed=True)[level].first().reset_index()
        subjects = subjects.astype({name: long[name].dtype for name in level})
        keep = truth.copy() if truth is not None else None
        scans = long.drop(columns=level)
        return cls(scans, subjects, keep, time_zero, synthetic, source)

    @property
    def scans(self) -> pd.DataFrame:
        """One row per subject, visit and skeletal site; a copy."""
        return self._scans.copy()

    @property
    def subjects(self) -> pd.DataFrame:
        """One row per subject; a copy."""
        return self._subjects.copy()

    @property
    def truth(self) -> pd.DataFrame | None:
        """What the generator knows, or None; a copy."""
        return None if self._truth is None else self._truth.copy()

    @property
    def visits(self) -> tuple[str, ...]:
        """Labels of the visits in the order of the study."""
        return tuple(self._scans[VISIT].cat.categories)

    @property
    def skeletal_sites(self) -> tuple[str, ...]:
        """Skeletal sites that were scanned."""
        return tuple(self._scans[SKELETAL_SITE].cat.categories)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self._subjects)

    @property
    def n_scans(self) -> int:
        """Number of scans with a BMD; rows with a blank BMD are missed scans."""
        return int(self._scans[BMD].count())

    @property
    def data_hash(self) -> str:
        """SHA-256 of the table as `write_cohort` writes it: of the file, if it was written.

        It does not depend on the order of the rows that were read. It does not see
        digits of BMD and time beyond the fourth decimal.
        """
        from aibmd.cohort.write import format_cohort

        return hashlib.sha256(format_cohort(self).encode("utf-8")).hexdigest()

    def to_frame(self) -> pd.DataFrame:
        """Long form for models: the scans, each with the columns of its subject."""
        beside = self._subjects.drop(columns=SUBJECT).take(_codes(self._scans[SUBJECT]))
        beside = beside.set_axis(self._scans.index)
        return pd.concat([self._scans, beside], axis=1)

    def with_scans(self, scans: pd.DataFrame) -> "Cohort":
        """Cohort with further columns of scans; rows and their order must be the same.

        Parameters
        ----------
        scans : DataFrame
            `scans` of this cohort with columns added.
        """
        if not scans[_KEY].equals(self._scans[_KEY]):
            raise CohortError("with_scans() takes the scans of the same cohort in the same order")
        return replace(self, _scans=scans.copy())

    def select(
        self,
        *,
        skeletal_site: str | Sequence[str] | None = None,
        visit: str | Sequence[str] | None = None,
    ) -> "Cohort":
        """Cohort of some skeletal sites or visits; subjects left with no row are left out.

        Parameters
        ----------
        skeletal_site, visit : str or sequence of str, optional
            Labels to keep; all if omitted.

        Raises
        ------
        CohortError
            A label that the cohort does not have, with those it has.
        """
        keep = pd.Series(True, index=self._scans.index)
        for column, wanted in ((SKELETAL_SITE, skeletal_site), (VISIT, visit)):
            if wanted is not None:
                keep &= self._scans[column].isin(self._known_labels(column, wanted))
        scans = self._scans[keep].reset_index(drop=True)
        for column in (SKELETAL_SITE, VISIT):
            scans[column] = scans[column].cat.remove_unused_categories()
        subjects = self._subjects[self._subjects[SUBJECT].isin(scans[SUBJECT])]
        return replace(self, _scans=scans, _subjects=subjects.reset_index(drop=True))

    def _known_labels(self, column: str, wanted: str | Sequence[str]) -> list[str]:
        labels = [wanted] if isinstance(wanted, str) else list(wanted)
        known = self._scans[column].cat.categories
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise CohortError(
                f"the cohort has no {column} {unknown[0]!r}; it has {', '.join(known)}"
            )
        return labels

    def summary(self) -> str:
        """Who was scanned, when and where, in a few lines of text."""
        from aibmd.cohort.describe import format_summary

        return format_summary(self)

    def __repr__(self) -> str:
        kind = "synthetic cohort" if self.synthetic else "cohort"
        return (
            f"<{kind} of {self.n_subjects} subjects, {self.n_scans} scans, "
            f"{len(self.visits)} visits, {len(self.skeletal_sites)} skeletal sites>"
        )


def _codes(values: pd.Series) -> IntArray:
    """Distinct values numbered as they appear; missing is -1."""
    return pd.factorize(values)[0]


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with typed keys, sorted by subject, visit and skeletal site."""
    long = frame.copy()
    long[SUBJECT] = long[SUBJECT].map(format_label).astype("str")
    labels = order_visits(frame[VISIT], frame[TIME])
    said = frame[VISIT].astype(object).map(format_label)
    long[VISIT] = pd.Categorical(said, categories=labels, ordered=True)
    found = set(frame[SKELETAL_SITE])
    sites = [site for site in SKELETAL_SITES if site in found]
    long[SKELETAL_SITE] = pd.Categorical(frame[SKELETAL_SITE].astype(object), categories=sites)
    long = long.astype({TIME: "float64", BMD: "float64"})
    others = [name for name in long.columns if name not in REQUIRED]
    return long.sort_values(_KEY, kind="stable", ignore_index=True)[[*REQUIRED, *others]]


def _subject_columns(long: pd.DataFrame) -> list[str]:
    """Columns that belong to the subject: by rule, or since they never change within one."""
    if long[SUBJECT].is_unique:
        return [name for name in long.columns if name in RULES and RULES[name].level == "subject"]
    first = ~long.duplicated(SUBJECT)
    place = first.cumsum() - 1
    return [
        name
        for name in long.columns
        if (
            RULES[name].level == "subject" if name in RULES else _constant(long[name], first, place)
        )
    ]


def _constant(values: pd.Series, first: pd.Series, place: pd.Series) -> bool:
    """Whether a column repeats the first value of each subject, blanks included."""
    codes = pd.Series(pd.factorize(values)[0], index=values.index)
    return bool((codes == codes[first].to_numpy()[place]).all())
