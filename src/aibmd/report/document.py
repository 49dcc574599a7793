"""The page: one self-contained HTML file, without scripts, requests, clock or paths."""

import base64
from pathlib import Path
from typing import Any, Final

from aibmd.bmd_change import WithdrawalQuestion, WithdrawalResult
from aibmd.bmd_change.question import WITHDRAWN
from aibmd.errors import MissingExtraError
from aibmd.formatting import format_count
from aibmd.report.methods_text import describe_estimand, describe_figure, describe_models
from aibmd.report.tables.html import format_html
from aibmd.report.tables.models import tabulate_fits, tabulate_handling
from aibmd.report.tables.population import (
    tabulate_flow_counts,
    tabulate_mixture_shares,
    tabulate_trajectories,
)
from aibmd.report.tables.withdrawal import (
    tabulate_changes,
    tabulate_differences,
    tabulate_models,
)

TITLE: Final = "Bone mineral density in the five years after an aromatase inhibitor is stopped"
_TEMPLATES: Final = Path(__file__).parent / "templates"

_LIMITATIONS: Final = (
    "Groups were formed at year 5 by treatment received, not by chance. A difference between them "
    "is not an effect of withdrawal.",
    "Log model: scans that are missing are assumed missing at random given the scans seen and the "
    "group. Percent-change model: year 10 missing independently of the change, given the group.",
    "No adjustment for bisphosphonates, age, exercise or menopausal status.",
    "A stop before the year 5 scan hides part of what follows it from the change after year 5.",
    "Limits are unadjusted; Holm p-values are adjusted over the primary sites of one model.",
)
_CHANGES_LISTED: Final = 12
_SYNTHETIC_LIMITATION: Final = (
    "The cohort is synthetic. The shipped design was tuned to published values, so agreement with "
    "them shows that the program works and nothing else; a changed design is listed under "
    "provenance."
)


def render_page(
    result: WithdrawalResult, provenance: dict[str, Any], figure_svg: bytes, title: str = TITLE
) -> str:
    """HTML of the withdrawal analysis.

    Parameters
    ----------
    result : WithdrawalResult
    provenance : dict
        From `aibmd.report.provenance.collect_provenance`.
    figure_svg : bytes
        Put into the page as a ``data:`` address.
    title : str

    Returns
    -------
    str
        Everything that comes from data is escaped.

    Notes
    -----
    The page shows rounded numbers; the CSV tables hold them unrounded.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError.for_extra("jinja2", "report") from error
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        keep_trailing_newline=True,
    )  # fmt: skip
    synthetic = provenance["synthetic"]
    return environment.get_template("withdrawal.html.j2").render(
        title=title,
        synthetic=synthetic,
        question=_word_question(result.question),
        estimand=describe_estimand(result.question),
        tables=_render_tables(result),
        figure=base64.b64encode(figure_svg).decode("ascii"),
        alt=describe_figure(result.changes, result.question),
        caption=_word_caption(result.question, synthetic),
        methods=describe_models(result.fits),
        limitations=[*_LIMITATIONS, *([_SYNTHETIC_LIMITATION] if synthetic else [])],
        facts=_list_facts(provenance),
        command=provenance["command"],
        version=provenance["versions"]["aibmd"],
    )


def _render_tables(result: WithdrawalResult) -> dict[str, Any]:
    question = result.question
    shown = {
        "changes": tabulate_changes(result.changes, question),
        "models": tabulate_models(result.changes, question),
        "differences": tabulate_differences(result.differences, question, "log"),
        "differences_percent": tabulate_differences(result.differences, question, "percent_change"),
        "trajectories": tabulate_trajectories(result.trajectories, question),
        "flow": tabulate_flow_counts(result.flow),
        "mixture": tabulate_mixture_shares(result.mixture),
        "handling": tabulate_handling(result.baseline_handling, question),
        "fits": tabulate_fits(result.fits),
    }
    return {name: format_html(table) for name, table in shown.items()}


def _word_question(question: WithdrawalQuestion) -> str:
    comparator = next(group for group in question.groups if group != WITHDRAWN)
    return (
        "How does bone mineral density (BMD) change from year 5 to year 10 in women whose "
        "aromatase inhibitor (AI) is withdrawn at year 5, and in the comparator "
        f"“{comparator}”?"
    )


def _word_caption(question: WithdrawalQuestion, synthetic: bool) -> str:
    level = f"{100 * question.conf_level:g} %"
    return (
        ("SYNTHETIC DATA. " if synthetic else "")
        + f"A: change from year 5 to year 10 in percent of year 5, log model, with {level} "
        "intervals; n is the number of women scanned at year 5 (at year 10); bars mark the design "
        "truth and hollow diamonds the published values, which set the shipped design and are not "
        "evidence. "
        f"B: model means as change from year 5, with {level} intervals and the numbers scanned. "
        "Years 0 to 5 (faint) are the same women looking back, not an effect of what came later."
    )


def _word_changes(changes: list[str]) -> str:
    """What a design changes of the shipped one, a dozen at most."""
    if not changes:
        return "no parameter differs"
    more = len(changes) - _CHANGES_LISTED
    listed = "; ".join(changes[:_CHANGES_LISTED])
    return listed + (f"; and {more} more" if more > 0 else "")


def _list_facts(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    data = provenance["data"]
    facts = [
        ("Data", f"{data['source']}: {format_count(data['n_subjects'])} women, "
                 f"{format_count(data['n_scans'])} scans"),
        ("SHA-256 of the data", data["sha256"]),
    ]  # fmt: skip
    if data["time_zero"]:
        facts.append(("Years count from", data["time_zero"]))
    if data["design"]:
        seed = "" if data["seed"] is None else f", seed {data['seed']}"
        facts.append(("Study design", f"{data['design']}{seed}"))
    if data["design_sha256"]:
        facts.append(("Design file", f"SHA-256 {data['design_sha256']}"))
        facts.append(("Design against the shipped one", _word_changes(data["design_changes"])))
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    return [*facts, ("Versions", versions)]
