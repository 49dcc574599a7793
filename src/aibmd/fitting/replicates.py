"""Many replicates of a computation on drawn outcomes, in one process or several.

The stream of every replicate is spawned from one seed, so that the result does not depend on
how many processes share the work.
"""

import io
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from types import MappingProxyType
from typing import Any

import numpy as np

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.outcome_draws import prepare_draws
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance import CovarianceStructure, get_structure
from aibmd.model.frame_view import FrameView

# Replicates sent to a process at once.
_CHUNK = 25
_NOT_SENT = (pickle.PicklingError, AttributeError, TypeError)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

ShowProgress = bool | Callable[[int, int], None] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replicate has no value."""

    reason: str


# A task is made ready once per process, then called with each set of outcomes.
Ready = Callable[[FloatArray], Any]
Task = Callable[[], Ready]
Worker = Callable[[Sequence[np.random.Generator]], list[Any]]


def run_replicates(
    source: MixedFit,
    task: Task,
    n_replicates: int,
    rng: np.random.Generator | int,
    n_jobs: int | None = None,
    progress: ShowProgress = None,
) -> list[Any]:
    """Draw outcomes from a fit and compute on each; a `Failure` where that was impossible.

    Parameters
    ----------
    source : MixedFit
        The model outcomes are drawn from.
    task : callable
        Returns the function of the outcomes.
    n_replicates : int
    rng : Generator or int
    n_jobs : int, optional
        Processes; None is one, this one.
    progress : bool or callable, optional
        True shows a bar in a terminal where ``rich`` is installed; a function is called with
        the number of replicates done and their total.

    Raises
    ------
    AibmdError
        Options of another kind; a task that other processes cannot find; a process that ended.
    """
    if not isinstance(n_replicates, (int, np.integer)) or n_replicates < 1:
        raise AibmdError(f"n_replicates={n_replicates!r} is not a positive whole number")
    if n_jobs is not None and (not isinstance(n_jobs, (int, np.integer)) or n_jobs < 1):
        raise AibmdError(f"n_jobs={n_jobs!r} is not a positive number of processes")
    if not isinstance(rng, (int, np.integer, np.random.Generator)):
        raise AibmdError(f"rng={rng!r} is not a whole number or a numpy Generator")
    streams = np.random.default_rng(rng).spawn(int(n_replicates))
    chunks = [streams[begin : begin + _CHUNK] for begin in range(0, len(streams), _CHUNK)]
    results: list[list[Any]] = [[] for _ in chunks]
    with _reporting(progress, len(streams)) as report:
        done = 0
        for place, values in _run_chunks(source, task, chunks, n_jobs or 1):
            results[place] = values
            done += len(values)
            report(done, len(streams))
    return [value for chunk in results for value in chunk]


def _run_chunks(
    source: MixedFit, task: Task, chunks: list[list[np.random.Generator]], n_jobs: int
) -> Iterator[tuple[int, list[Any]]]:
    if n_jobs == 1:
        worker = _make_worker(source, task)
        yield from ((place, worker(chunk)) for place, chunk in enumerate(chunks))
        return
    # Started afresh rather than forked: a fork of a process with threads can hang.
    payload, size = _pack(source, task), min(n_jobs, len(chunks))
    with ProcessPoolExecutor(size, get_context("spawn"), _start_worker, (payload,)) as pool:
        with _one_thread_each():
            pending = {pool.submit(_work, chunk): place for place, chunk in enumerate(chunks)}
        for future in as_completed(pending):
            yield pending[future], _result_of(future)


def _result_of(future: Future[list[Any]]) -> list[Any]:
    try:
        return future.result()
    except BrokenProcessPool as reason:
        raise AibmdError(
            "a process ended before its work was done: it ran out of memory, or this is a script "
            "that calls it outside of if __name__ == '__main__': or was not read from a file; "
            "n_jobs=1 needs none of that"
        ) from reason


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile get one thread: with more they would wait for each other."""
    absent = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(absent, "1"))
    try:
        yield
    finally:
        for name in absent:
            os.environ.pop(name, None)


def _make_worker(source: MixedFit, task: Task) -> Worker:
    sampler, compute = prepare_draws(source), task()

    def work(streams: Sequence[np.random.Generator]) -> list[Any]:
        return [_compute(compute, sampler.draw(stream)) for stream in streams]

    return work


def _compute(compute: Ready, y: FloatArray) -> Any:
    try:
        return compute(y)
    except AibmdError as reason:
        return Failure(str(reason))


_worker: Worker


def _start_worker(payload: bytes) -> None:
    """Make the worker; an error waits for the first work, here it would end the process."""
    global _worker
    try:
        _worker = _unpack(payload)
    except Exception as reason:
        _worker = _Refusal(reason)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A worker that could not be made."""

    reason: Exception

    def __call__(self, streams: Sequence[np.random.Generator]) -> list[Any]:
        raise self.reason


def _unpack(payload: bytes) -> Worker:
    try:
        source, task = pickle.loads(payload)
    except (AttributeError, ImportError) as reason:
        raise AibmdError(
            f"the statistic is not to be found by other processes ({reason}): define it at the "
            "top of an importable module, not under if __name__ == '__main__': or in a notebook, "
            "or use n_jobs=1"
        ) from None
    return _make_worker(source, task)


def _work(streams: Sequence[np.random.Generator]) -> list[Any]:
    return _worker(streams)


class _Pickler(pickle.Pickler):
    """Sends structures by name, read-only mappings as dicts and a view of a table as the table."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, CovarianceStructure):
            return get_structure, (value.name,)
        if isinstance(value, FrameView):
            return FrameView.of, (value.frame,)
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def _pack(source: MixedFit, task: Task) -> bytes:
    try:
        _dump(source)
    except _NOT_SENT as reason:
        raise AibmdError(
            f"the fit cannot be sent to other processes ({reason}); leave n_jobs out"
        ) from reason
    try:
        return _dump((source, task))
    except _NOT_SENT as reason:
        raise AibmdError(
            f"the statistic cannot be sent to other processes ({reason}). Define it with def at "
            "the top of a module, or use operator.attrgetter('params'); or leave n_jobs out"
        ) from reason


def _dump(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


@contextmanager
def _reporting(progress: ShowProgress, total: int) -> Iterator[Callable[[int, int], None]]:
    if callable(progress):
        yield progress
        return
    bar = _rich_bar() if progress else None
    with bar or nullcontext():
        line = bar and bar.add_task("replicates", total=total)
        yield lambda done, total: bar and bar.update(line, completed=done)


def _rich_bar() -> Any:
    """A bar on standard error, or None where that is no terminal or ``rich`` is not installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
    except ImportError:
        return None
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        return None
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
