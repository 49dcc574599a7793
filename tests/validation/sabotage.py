"""What can be broken on purpose, by name; defects register here, none is in the product."""

import pytest

patch = pytest.MonkeyPatch()
DEFECTS = {}
MMRM, POLISHED = "test_mmrm_against_peers", "test_polished_against_engine"


def defect(tests, first=""):
    """Register a defect with the test files that are run against it, likely tests first."""

    def register(function):
        DEFECTS[function.__name__] = (function, tests.split(), first)
        return function

    return register


def switch_in(name):
    """`shift:file:quantity` or `defect:name`, for the rest of this process."""
    from validation import shifts

    kind, _, what = name.partition(":")
    if kind == "shift":
        shifts.shift(*what.split(":"))
    else:
        list_defects()[what][0]()


def list_defects():
    """name -> (function that switches it in, test files)."""
    import validation.defects_of_inference
    import validation.defects_of_the_model  # noqa: F401

    return DEFECTS
