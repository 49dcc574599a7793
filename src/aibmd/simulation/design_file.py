"""From the text of a design file to frozen values, with every complaint at its key path."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from aibmd.errors import AibmdError

Built = TypeVar("Built")

# Beyond any quantity of a study, and small enough for every integer to be a float.
_LARGEST: Final = 2**53


def read_design_table(path: str | Path) -> dict[str, Any]:
    """Nested tables of a TOML file.

    Raises
    ------
    AibmdError
        If there is no such file, or it is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise AibmdError(f"{path} cannot be read: {error.strerror}. Name a design file.") from None
    except UnicodeDecodeError as error:
        raise AibmdError(f"{path} is not encoded in UTF-8: {error.reason}.") from None
    except tomllib.TOMLDecodeError as error:
        raise AibmdError(f"{path} is not a TOML file: {error}.") from None


def build(cls: type[Built], table: Any, path: str) -> Built:
    """One frozen value from one table, and its parts from the tables inside.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are numbers, texts or such dataclasses.
    table : mapping
    path : str
        Where the table stands in the file, for messages.

    Raises
    ------
    AibmdError
        At the first key that is unknown, missing, of a wrong type, or refused by `cls`.
    """
    if not isinstance(table, Mapping):
        raise AibmdError(f"{path} is {_describe(table)}; expected a table.")
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    _check_keys(names, table, path)
    hints = get_type_hints(cls)
    values = {name: _convert(hints[name], table[name], _join(path, name)) for name in names}
    try:
        return cls(**values)
    except AibmdError as error:
        raise AibmdError(f"{path}: {error}" if path else str(error)) from None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _check_keys(names: list[str], table: Mapping[str, Any], path: str) -> None:
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" Expected: {', '.join(names)}."
            raise AibmdError(f"{_join(path, key)} is not a key of a design.{hint}")
    for name in names:
        if name not in table:
            raise AibmdError(f"{_join(path, name)} is missing. Copy it from brex.toml and set it.")


def _convert(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind):
        return build(kind, value, path)  # type: ignore[arg-type]
    if kind is str:
        if not isinstance(value, str):
            raise AibmdError(f"{path} is {_describe(value)}; expected text.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AibmdError(f"{path} is {_describe(value)}; expected a number.")
    if kind is int and not isinstance(value, int):
        raise AibmdError(f"{path} is {value!r}; expected a whole number.")
    if not abs(value) <= _LARGEST:
        raise AibmdError(f"{path} is {_describe(value)}; expected a finite number of usual size.")
    return kind(value)


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
