"""Sections of a design: parameters that answer one question about the made-up study."""

from dataclasses import dataclass

from aibmd.errors import AibmdError
from aibmd.simulation.parameter import (
    BySite,
    Duration,
    LevelBySite,
    Normal,
    Number,
    Probability,
    Range,
    SiteCorrelation,
    SpreadBySite,
)
from aibmd.simulation.study_parameter import (
    COURSES,
    ByStatus,
    ByVisit,
    CourseShares,
    EventHazard,
    LeavingHazard,
    ProbabilityByVisit,
    StartProbability,
    StopProbability,
    VisitTimes,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WomenSection:
    """Who enters."""

    premenopausal_share: Probability
    premenopausal_age: Normal
    premenopausal_age_range: Range
    postmenopausal_age: Normal
    postmenopausal_age_range: Range
    bmi: Normal
    bmi_range: Range
    chemotherapy_share: ByStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneSection:
    """BMD levels, how they vary between and within women, and scan error."""

    mean_at_58: LevelBySite
    age_slope_per_year: BySite
    sd: SpreadBySite
    scan_error_sd: SpreadBySite
    slope_sd_pct_per_year: SpreadBySite
    deviation_sd_pct: SpreadBySite
    deviation_time_constant_years: Duration
    correlation: SiteCorrelation
    reference_mean: LevelBySite
    reference_sd: LevelBySite
    lowest_t_score_at_entry: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class MenopauseSection:
    """Loss of bone without endocrine therapy, before, at and after menopause."""

    late_rate_pct_per_year: BySite
    premenopausal_rate_pct_per_year: BySite
    last_2_years_before_pct_per_year: BySite
    first_2_years_after_pct_per_year: BySite
    years_2_to_5_after_pct_per_year: BySite
    age_at_final_period: Normal
    ovarian_failure_probability_at_45: Probability
    ovarian_failure_log_odds_per_year: Number
    ovarian_failure_year_1_pct: BySite
    ovarian_failure_year_2_pct: BySite


@dataclass(frozen=True, slots=True, kw_only=True)
class ChemotherapySection:
    """Effect of chemotherapy on bone beside its effect on the ovaries."""

    postmenopausal_year_1_pct: BySite


@dataclass(frozen=True, slots=True, kw_only=True)
class AiSection:
    """Loss on an aromatase inhibitor."""

    year_1_pct: BySite
    later_rate_pct_per_year: BySite
    switch_extra_pct: BySite
    switch_extra_years: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalSection:
    """What follows when an aromatase inhibitor stops."""

    gain_after_5_years_pct: BySite
    gain_after_2_to_3_years_pct: BySite
    gain_years: Duration
    later_rate_pct_per_year: BySite


@dataclass(frozen=True, slots=True, kw_only=True)
class TamoxifenSection:
    """What tamoxifen adds to natural loss, on treatment and after it."""

    first_2_years_pct_per_year: BySite
    later_rate_pct_per_year: BySite
    premenopausal_pct_per_year: BySite
    premenopausal_years: Duration
    after_stop_pct: BySite
    after_stop_years: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class BisphosphonateSection:
    """Who is given a bisphosphonate, and what it adds."""

    gain_pct_per_year: BySite
    gain_years: Duration
    treatment_threshold_t_score: Number
    start_probability: StartProbability
    start_lag_years: Range
    course_years: Normal
    course_years_range: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseSection:
    """Difference of the exercise arm from control in premenopausal women."""

    premenopausal_by_year_1_pct: BySite
    premenopausal_by_year_3_pct: BySite
    premenopausal_by_year_5_pct: BySite


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursesSection:
    """The mixture of endocrine courses, by menopausal state, and their dates."""

    postmenopausal: CourseShares
    ovarian_failure: CourseShares
    ovarian_function: CourseShares
    start_years: Range
    tamoxifen_years: Normal
    tamoxifen_years_range: Range
    years_to_switch: Normal
    years_to_switch_range: Range
    upfront_ended_early_ai_years: Range
    switch_ended_early_ai_years: Range

    def __post_init__(self) -> None:
        shares = self.ovarian_function
        if any(getattr(shares, course) > 0 for course in COURSES if "_ai" in course):
            raise AibmdError(
                "ovarian_function gives an aromatase inhibitor to women whose ovaries work, "
                "in whom it does not act; give them no_endocrine or tamoxifen only."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingSection:
    """Stopping or continuing among women on an aromatase inhibitor at year 5."""

    probability: StopProbability
    log_odds_per_t_score: Number
    t_score_centre: Number
    lag_years: Normal
    lag_years_range: Range
    extended_years: Normal
    extended_years_range: Range

    def __post_init__(self) -> None:
        if self.log_odds_per_t_score.value != 0 and self.lag_years_range.lowest < 0:
            raise AibmdError(
                "log_odds_per_t_score lets stopping depend on the year 5 scan while "
                f"lag_years_range.lowest is {self.lag_years_range.lowest:g}, before that scan. "
                "Set one of the two to 0."
            )
        if self.extended_years_range.lowest < self.lag_years_range.highest:
            raise AibmdError("extended_years_range.lowest lies below lag_years_range.highest.")


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitsSection:
    """When scans happen."""

    time_years: VisitTimes
    scan_time_sd_years: ByVisit
    missed_scan_probability: ProbabilityByVisit


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpSection:
    """How follow-up ends."""

    leaving_hazard: LeavingHazard
    event_hazard: EventHazard
