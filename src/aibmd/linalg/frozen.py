"""Frozen values hold frozen arrays."""

from typing import Any

import numpy as np


def freeze_arrays(value: Any) -> None:
    """Make every array attribute of a slotted dataclass read-only; call in ``__post_init__``."""
    for name in value.__dataclass_fields__:
        attribute = getattr(value, name)
        if isinstance(attribute, np.ndarray):
            attribute.flags.writeable = False
