"""Small dense linear algebra the engine shares: symmetric storage, padded inverses, bases."""

from aibmd.linalg.basis import OrthonormalBasis, orthonormalise
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import (
    PaddedInverse,
    Padding,
    inverse_and_logdet,
    inverse_spd,
    invert_padded,
    make_padding,
    pack_symmetric,
    packed_weights,
    solve_spd,
    unpack_symmetric,
)

__all__ = [
    "OrthonormalBasis",
    "PaddedInverse",
    "Padding",
    "freeze_arrays",
    "inverse_and_logdet",
    "inverse_spd",
    "invert_padded",
    "make_padding",
    "orthonormalise",
    "pack_symmetric",
    "packed_weights",
    "solve_spd",
    "unpack_symmetric",
]
