"""House style of figures: the same bytes whatever the user's matplotlib settings say.

Figures are drawn on `matplotlib.figure.Figure` without pyplot, so no backend is chosen and
no window can open; `house_style` starts from matplotlib's own defaults, not the user's.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aibmd.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#1a1a1a"
QUIET: Final = "#5c5c5c"
FAINT: Final = "#c9c9c9"
LOOKING_BACK: Final = "#f3f3f3"
PNG_DPI: Final = 220

# The salt fixes the ids inside an SVG.
_SETTINGS: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.usetex": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "svg.hashsalt": "aibmd",
    "svg.fonttype": "path",
    "path.simplify": False,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How one group is drawn: colour for most eyes, shape and line for all of them."""

    color: str
    marker: str
    line: str


# Blue and vermilion keep apart under every common colour deficiency; shape and line
# style keep them apart in grey. Further groups take the next mark.
MARKS: Final = (
    Mark("#0072b2", "o", "-"),
    Mark("#b84a00", "s", "--"),
    Mark("#007a5a", "^", "-."),
    Mark("#8a3f7a", "v", ":"),
)


def choose_marks(groups: list[str]) -> dict[str, Mark]:
    """A mark for each group, by its place in the list."""
    return {group: MARKS[place % len(MARKS)] for place, group in enumerate(groups)}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this: matplotlib's defaults, seaborn's ticks style, then the house's settings.

    Examples
    --------
    >>> import matplotlib
    >>> with house_style():
    ...     matplotlib.rcParams["svg.hashsalt"]
    'aibmd'
    """
    try:
        import matplotlib
        import seaborn
    except ImportError as error:
        raise MissingExtraError.for_extra("seaborn", "plot") from error
    settings: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    del settings["backend"]  # setting it would choose one, and nothing here needs any
    settings |= seaborn.axes_style("ticks") | _SETTINGS
    with matplotlib.rc_context(settings):
        yield


def render_figure(figure: "Figure", kind: str, title: str) -> bytes:
    """Bytes of a figure as ``"svg"`` or ``"png"``, without date, software or random ids.

    Parameters
    ----------
    figure : Figure
    kind : {"svg", "png"}
    title : str
        Stands in the metadata of the file, for programs that do not see the picture.

    Notes
    -----
    The same bytes on one machine; another build of matplotlib or freetype may move a curve
    by a fraction of a pixel, so figures are compared by eye across machines, tables by number.
    """
    unset = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    metadata = {**unset, "Title": title}
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()
