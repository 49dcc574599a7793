"""A design that makes no possible bone makes no cohort."""

import pytest

from aibmd import AibmdError, StudyDesign, simulate_cohort
from aibmd.resources import data_path


def test_bone_that_no_woman_has_is_refused():
    design = StudyDesign.from_toml(data_path("synthetic", "brex.toml"))
    absurd = design.replace_values({"effect_multipliers.withdrawal": 1e6})
    with pytest.raises(AibmdError, match=r"outside 0\.2 to 2\.5 g/cm2.*smaller"):
        simulate_cohort(absurd, 1)


def test_a_name_is_no_design():
    with pytest.raises(AibmdError, match=r"StudyDesign\.from_toml"):
        simulate_cohort("brex", 1)
