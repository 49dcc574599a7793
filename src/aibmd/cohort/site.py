"""Names of skeletal sites as files spell them."""

import difflib
import re
from typing import Any, Final

from aibmd.vocabulary import SITE_ALIASES, SKELETAL_SITES

_ALIASES: Final = {alias.lower(): site for alias, site in SITE_ALIASES.items()}

# Words that point at a site without naming it: suggested, never taken for granted, since
# L1-L4 is not L2-L4 and a femur has several regions.
_HINTS: Final = {
    "spine": "lumbar_spine",
    "lumbar": "lumbar_spine",
    "l1": "lumbar_spine",
    "l2": "lumbar_spine",
    "neck": "femoral_neck",
    "hip": "total_hip",
    "femur": "total_hip",
    "whole": "total_body",
    "body": "total_body",
}


def match_skeletal_site(label: Any) -> str | None:
    """Skeletal site of a label in any case, or None.

    Examples
    --------
    >>> match_skeletal_site("LS"), match_skeletal_site("Total Hip"), match_skeletal_site("hip")
    ('lumbar_spine', 'total_hip', None)
    """
    plain = _plain(label)
    return plain if plain in SKELETAL_SITES else _ALIASES.get(plain)


def suggest_skeletal_site(label: Any) -> str | None:
    """The site that was probably meant, or None.

    Examples
    --------
    >>> suggest_skeletal_site("lumbar_spin"), suggest_skeletal_site("L1-L4")
    ('lumbar_spine', 'lumbar_spine')
    """
    plain = _plain(label)
    near = difflib.get_close_matches(plain, SKELETAL_SITES, n=1, cutoff=0.75)
    if near:
        return near[0]
    words = re.split(r"[_\d]+", plain) + plain.split("_")
    return next((_HINTS[word] for word in words if word in _HINTS), None)


def _plain(label: Any) -> str:
    return re.sub(r"[\s_.\-]+", "_", str(label).strip().lower())
