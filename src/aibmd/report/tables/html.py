"""A display table as HTML; every string of it is escaped."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aibmd.report.tables.display import DisplayTable

if TYPE_CHECKING:
    from markupsafe import Markup


def format_html(table: DisplayTable) -> "Markup":
    """HTML of a table in a container that scrolls on its own, so a phone shows the page whole.

    Parameters
    ----------
    table : DisplayTable

    Returns
    -------
    Markup
        Text from data (group labels, names of sources) cannot become markup.

    Examples
    --------
    >>> from aibmd.report.tables.display import make_table
    >>> "<script>" in format_html(make_table("t", {"group": "left"}, [["<script>"]]))
    False
    """
    from markupsafe import Markup

    kinds = [Markup(' class="number"') if a == "right" else Markup("") for a in table.align]
    head = _join(
        Markup('<th scope="col"{}>{}</th>').format(kind, name)
        for kind, name in zip(kinds, table.columns, strict=True)
    )
    body = _join(Markup("<tr>{}</tr>\n").format(_row(row, kinds)) for row in table.rows)
    notes = _join(Markup("<p>{}</p>").format(note) for note in table.notes)
    return Markup(
        "<figure>\n<figcaption>{title}</figcaption>\n"
        '<div class="scroll" role="region" tabindex="0" aria-label="{title}">\n'
        "<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
        '<div class="notes">{notes}</div>\n</figure>'
    ).format(title=table.title, head=head, body=body, notes=notes)


def _row(row: tuple[str, ...], kinds: "list[Markup]") -> "Markup":
    from markupsafe import Markup

    first, *rest = zip(row, kinds, strict=True)
    cells = [Markup('<th scope="row"{}>{}</th>').format(first[1], first[0])]
    cells += [Markup("<td{}>{}</td>").format(kind, cell) for cell, kind in rest]
    return _join(cells)


def _join(parts: Iterable[str]) -> "Markup":
    from markupsafe import Markup

    return Markup("").join(parts)
