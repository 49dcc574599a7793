"""The parameters of a design as a table, for pages and reports."""

from dataclasses import fields

import pandas as pd

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.parameter import Parameter

_NOT_VALUES = ("flag", "source")


def tabulate_parameters(design: StudyDesign) -> pd.DataFrame:
    """Every parameter of a design with its values, flag and source.

    Parameters
    ----------
    design : StudyDesign

    Returns
    -------
    DataFrame
        Columns ``parameter`` (dotted path), ``values`` (text), ``flag``, ``source``; in the
        order of the design file.

    Examples
    --------
    >>> from aibmd.resources import data_path
    >>> design = StudyDesign.from_toml(data_path("synthetic", "brex.toml"))
    >>> tabulate_parameters(design).loc[1, ["parameter", "flag"]].tolist()
    ['effect_multipliers', 'chosen']
    """
    rows = [(path, _values(p), p.flag, p.source) for path, p in design.parameters()]
    return pd.DataFrame(rows, columns=["parameter", "values", "flag", "source"])


def _values(parameter: Parameter) -> str:
    """Values as text; one without a name of its own stands alone."""
    names = [field.name for field in fields(parameter) if field.name not in _NOT_VALUES]
    pairs = [(name, f"{getattr(parameter, name):.10g}") for name in names]
    if names == ["value"]:
        return pairs[0][1]
    return ", ".join(f"{name} {text}" for name, text in pairs)
