"""Refits: the same design and covariance with other outcomes, from what is already summed."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.attempts import Attempt
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import build_inference
from aibmd.linalg.symmetric import FloatArray, IntArray, triangle
from aibmd.model.covariance.compositions import RestrictedTerm
from aibmd.model.criteria import subject_criterion
from aibmd.model.criterion import Criterion
from aibmd.model.cross_products import CrossProducts
from aibmd.model.design import Design, cell_codes, count_cells
from aibmd.model.engine import EngineFit, climb_and_certify, fit_engine
from aibmd.model.least_squares import LeastSquares, residual_scale
from aibmd.model.pattern_likelihood import PatternCriterion, residual_moments
from aibmd.model.patterns import find_patterns
from aibmd.model.start import StartMoments


def refit(fit: MixedFit, y: FloatArray) -> MixedFit:
    """Fit the same model to other outcomes.

    Parameters
    ----------
    fit : MixedFit
    y : (n,) array
        New outcomes of the rows used, in their order.

    Raises
    ------
    ConvergenceError
        The refit is not certified as a maximum, or has no degrees of freedom.
    """
    return Refitter(fit).refit(y)


@dataclass(frozen=True)
class Refitter:
    """A fit made ready for many outcomes: whatever depends on the design alone is kept.

    Attributes
    ----------
    fit : MixedFit
        Each refit starts from its covariance parameters.
    """

    fit: MixedFit

    def refit(self, y: FloatArray) -> MixedFit:
        """The whole fit, with the inference its specification asks for."""
        design, engine = self._run(y)
        spec, certificate = self.fit.spec, engine.certificate
        inference = build_inference(
            engine, spec.df_method, spec.information, spec.vcov, design, self.fit.features
        )
        attempt = Attempt(
            self.fit.attempts[-1].covariance,
            certificate.converged,
            certificate.singular,
            certificate.messages,
        )
        return replace(
            self.fit, design=design, engine=engine, inference=inference, attempts=(attempt,)
        )

    def refit_engine(self, y: FloatArray) -> EngineFit:
        """The maximum of the likelihood alone, which is all a likelihood ratio needs."""
        return self._run(y)[1]

    def _run(self, y: FloatArray) -> tuple[Design, EngineFit]:
        y = np.array(y, dtype=float)
        if y.shape != self.fit.design.rows.y.shape or not np.isfinite(y).all():
            raise AibmdError(f"new outcomes are {self.fit.n_obs} finite numbers, one for each row")
        design = self._exchange(y)
        engine = self._maximise(design)
        if not engine.certificate.converged:
            raise ConvergenceError("; ".join(engine.certificate.messages))
        return design, engine

    def _maximise(self, design: Design) -> EngineFit:
        """From the fitted parameters; where that does not end in a maximum, from the start."""
        criterion, start = self._criterion(design)
        least_squares, first = criterion.least_squares, self.fit.engine
        if least_squares.is_perfect_fit:
            raise ConvergenceError("the fixed effects reproduce the new outcomes exactly")
        if not first.certificate.singular:  # from a boundary there is no way back inside
            units = np.where(first.covariance.has_unit, least_squares.scale**2, 1.0)
            try:
                warm = climb_and_certify(criterion, first.theta / units)
            except ConvergenceError:
                warm = None
            if warm is not None and warm.certificate.converged:
                return warm
        if isinstance(criterion, PatternCriterion) and isinstance(
            criterion.covariance, RestrictedTerm
        ):
            criterion = replace(criterion, covariance=criterion.covariance.base)
        return fit_engine(criterion, start)

    def _criterion(self, design: Design) -> tuple[Criterion, StartMoments]:
        first = self.fit.engine
        if isinstance(first.criterion, PatternCriterion):
            assert design.cross is not None
            criterion = replace(first.criterion, cross=design.cross)
            return criterion, StartMoments(criterion.cells, *residual_moments(design.cross))
        return subject_criterion(design, first.asked, self.fit.features, first.method)

    def _exchange(self, y: FloatArray) -> Design:
        """The design with other outcomes."""
        design = self.fit.design
        rows = replace(design.rows, y=y)
        weighted = y if self._root_weight is None else y * self._root_weight
        if design.Z is not None:
            Q = design.Z[:, :-1]
            least_squares, residual = _project(design.least_squares, Q, weighted)
            Z = np.column_stack([Q, residual / (least_squares.scale or 1.0)])
            return replace(design, rows=rows, least_squares=least_squares, Z=Z)
        least_squares, residual = _project(
            design.least_squares, self._sorted_basis, weighted[self._order]
        )
        cross = self._exchange_products(least_squares, residual / (least_squares.scale or 1.0))
        return replace(design, rows=rows, least_squares=least_squares, cross=cross)

    def _exchange_products(self, least_squares: LeastSquares, scaled: FloatArray) -> CrossProducts:
        """Cross-products whose outcome column is new; those of Q with itself stay."""
        cross = self.fit.design.cross
        assert cross is not None
        p, begin, blocks = cross.n_coefficients, 0, []
        for Q, shape in zip(self._pattern_basis, self._pattern_shapes, strict=True):
            n, k = shape
            r = scaled[begin : begin + n * k].reshape(n, k)
            begin += n * k
            blocks.append(_outcome_products(Q, r, self._sampling(begin - n * k, shape)))
        gram = cross.gram.copy()
        gram[:, triangle(p + 1)[1] == p] = np.concatenate(blocks)
        return replace(cross, least_squares=least_squares, gram=gram)

    def _sampling(self, begin: int, shape: tuple[int, int]) -> FloatArray | None:
        weights = self.fit.design.rows.sampling_weights
        if weights is None:
            return None
        n, k = shape
        return np.asarray(weights[self._order[begin : begin + n * k : k]])

    @cached_property
    def _root_weight(self) -> FloatArray | None:
        weights = self.fit.design.rows.weights
        return None if weights is None else np.sqrt(weights)

    @cached_property
    def _pattern_rows(self) -> tuple[IntArray, ...]:
        rows = self.fit.design.rows
        return find_patterns(rows.subject, cell_codes(rows), count_cells(rows)).rows

    @cached_property
    def _pattern_shapes(self) -> list[tuple[int, int]]:
        return [(len(rows), rows.shape[1]) for rows in self._pattern_rows]

    @cached_property
    def _order(self) -> IntArray:
        """Rows sorted by pattern, then subject."""
        return np.concatenate([rows.ravel() for rows in self._pattern_rows])

    @cached_property
    def _sorted_basis(self) -> FloatArray:
        """The orthonormal columns of X in that order."""
        design = self.fit.design
        Q = design.columns_of(self._order) @ design.least_squares.basis.transform
        return Q if self._root_weight is None else Q * self._root_weight[self._order][:, None]

    @cached_property
    def _pattern_basis(self) -> list[FloatArray]:
        """(n, k, p) for each pattern."""
        ends = np.cumsum([n * k for n, k in self._pattern_shapes])[:-1]
        pieces = np.split(self._sorted_basis, ends)
        shapes = self._pattern_shapes
        return [Q.reshape(*shape, -1) for Q, shape in zip(pieces, shapes, strict=True)]


def _project(
    least_squares: LeastSquares, Q: FloatArray, y: FloatArray
) -> tuple[LeastSquares, FloatArray]:
    """Least squares on orthonormal columns, refined once against a large mean of y."""
    delta = Q.T @ y
    residual = y - Q @ delta
    correction = Q.T @ residual
    residual = residual - Q @ correction
    beta0 = least_squares.basis.transform @ (delta + correction)
    scale = residual_scale(residual, y, Q.shape[1])
    return replace(least_squares, beta0=beta0, scale=scale), residual


def _outcome_products(Q: FloatArray, r: FloatArray, sampling: FloatArray | None) -> FloatArray:
    """(k(k+1)/2, p + 1): the outcome column of the packed cross-products of one pattern."""
    n, k, p = Q.shape
    weighted = r if sampling is None else r * sampling[:, None]
    by_visit = (Q.reshape(n, k * p).T @ weighted).reshape(k, p, k)
    squares = r.T @ weighted
    first, second = triangle(k)
    half = np.where(first == second, 0.5, 1.0)[:, None]
    across = by_visit[first, :, second] + by_visit[second, :, first]
    return np.asarray(half * np.column_stack([across, 2.0 * squares[first, second]]))
