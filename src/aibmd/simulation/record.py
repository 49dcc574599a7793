"""Arrays of many women kept together: read-only, and selected together."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")
Array = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]

# A date that never comes; blank in files.
NEVER: Final = np.inf


def lock(record: Any) -> None:
    """Make every array of a record read-only."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)


def take_women(record: Record, index: NDArray[np.intp]) -> Record:
    """The same record for some of the women; the first axis of each array is women."""
    chosen: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        nested = is_dataclass(value)
        chosen[field.name] = take_women(value, index) if nested else value[index]
    return replace(record, **chosen)  # type: ignore[type-var]
