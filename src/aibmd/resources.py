"""Where shipped data and analyses lie: in the source tree, or inside an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "_shipped"
_SOURCE_TREE = _PACKAGE.parents[1]


def _root() -> Path:
    return _SHIPPED if _SHIPPED.is_dir() else _SOURCE_TREE


def data_path(*parts: str) -> Path:
    """Path of a shipped data file, for example ``data_path("synthetic", "brex.csv")``."""
    return _root().joinpath("data", *parts)


def analysis_path(*parts: str) -> Path:
    """Path below the shipped ``analyses/`` folder."""
    return _root().joinpath("analyses", *parts)


def list_analyses() -> tuple[str, ...]:
    """Names of the shipped analyses, one folder with a ``run.py`` each."""
    return tuple(sorted(path.parent.name for path in analysis_path().glob("*/run.py")))
