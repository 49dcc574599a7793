"""Results made of made-up numbers: the report is tested without fitting anything."""

import pytest
from made_up_withdrawal import GROUPS, make_cohort, make_result


@pytest.fixture
def result():
    return make_result()


@pytest.fixture
def reversed_result():
    return make_result(sign=-1.0)


@pytest.fixture
def hostile_result():
    return make_result(groups=(GROUPS[0], "<script>alert(1)</script>"))


@pytest.fixture
def cohort():
    return make_cohort()


@pytest.fixture
def read_cohort_with_hostile_source():
    return make_cohort(synthetic=False, source='"><img src=x onerror=alert(1)>.csv')
