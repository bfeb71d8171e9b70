"""What the verdicts mean in plain words; a sentence that cannot be computed is not there."""

from __future__ import annotations

from toprung.judge.intervals import Interval
from toprung.judge.verdicts import BEST_TRIAL, ENSEMBLE, Contender, Verdicts


def say_verdicts(verdicts: Verdicts) -> list[str]:
    """The findings on the test split, most important first."""
    found = [_say_value(verdicts)]
    others = {one.who: one for one in verdicts.contenders[1:]}
    if BEST_TRIAL in others:
        found.append(_say_against_trial(verdicts, others[BEST_TRIAL]))
    baseline = verdicts.best_baseline()
    if baseline is not None and baseline is not verdicts.first:
        found.append(_say_against_baseline(verdicts, baseline))
        found += _say_trial_against(verdicts, baseline)
    return found


def _say_trial_against(verdicts: Verdicts, baseline: Contender) -> list[str]:
    """That the best trial is below the baseline, which the ensemble may hide."""
    name = verdicts.metric.name
    trial, plain = verdicts.metrics.get(BEST_TRIAL, {}).get(name), verdicts.metrics[baseline.who]
    if trial is None or verdicts.metric.score(trial) >= verdicts.metric.score(plain[name]):
        return []
    return [
        f"By itself the best single trial ({trial:.4f}) is below the baseline {baseline.who} "
        f"({plain[name]:.4f})."
    ]


def duration(seconds: float) -> str:
    """Seconds in the words of a person.

    >>> duration(0.04), duration(8.21), duration(75), duration(7260)
    ('under 0.1 s', '8.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def bounds(interval: Interval, *, signed: bool = False) -> str:
    """The bounds of an interval.

    >>> bounds(Interval(0.5, 0.41, 0.61)), bounds(Interval(0, -0.1, 0.2), signed=True)
    ('0.4100 to 0.6100', '-0.1000 to +0.2000')
    """
    form = "+.4f" if signed else ".4f"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def call(one: Contender) -> str:
    """What a contender is called in a sentence."""
    named = {ENSEMBLE: "the ensemble", BEST_TRIAL: "the best single trial"}
    words = named.get(one.who, f"the baseline {one.who}")
    return f"{words} ({one.detail})" if one.detail else words


def _turned(gain: Interval) -> str:
    """The bounds of a loss, as seen from the one that is ahead."""
    return f"95 % interval {bounds(Interval(-gain.value, -gain.high, -gain.low), signed=True)}"


def _say_value(verdicts: Verdicts) -> str:
    interval, name = verdicts.intervals[verdicts.first.who], verdicts.metric.name
    return (
        f"On the {len(verdicts.labels):,} rows of the test split {call(verdicts.first)} reaches "
        f"{name} {interval.value:.4f} (95 % interval {bounds(interval)})."
    )


def _say_against_trial(verdicts: Verdicts, other: Contender) -> str:
    gain = verdicts.gains[other.who][verdicts.metric.name]
    value = round(gain.value, 4) + 0.0  # no gain of minus nothing
    us, them = _capital(call(verdicts.first)), call(other)
    told = f"95 % interval {bounds(gain, signed=True)}"
    if gain.value == gain.low == gain.high == 0:
        return f"{us} predicts as {them} does: the gain is 0."
    if gain.low > 0:
        return f"{us} is better than {them} by {gain.value:.4f} ({told})."
    if gain.high < 0:
        return f"{us} is worse than {them} by {-gain.value:.4f} ({_turned(gain)})."
    return (
        f"{us} is not measurably better than {them}: the gain is {value:+.4f} ({told}), "
        f"and the interval includes 0."
    )


def _say_against_baseline(verdicts: Verdicts, other: Contender) -> str:
    gain, name = verdicts.gains[other.who][verdicts.metric.name], verdicts.metric.name
    us, them = call(verdicts.first), call(other)
    cost = _say_cost(verdicts.first, other)
    value = verdicts.intervals[other.who].value
    told = f"95 % interval {bounds(gain, signed=True)}"
    if gain.low > 0:
        sentence = f"{_capital(us)} is better than {them} ({name} {value:.4f}) by {gain.value:.4f}"
        return f"{sentence} ({told}){f'; training took {cost}' if cost else ''}."
    if gain.high < 0:
        verdict = f"{_capital(them)} is better than {us} by {-gain.value:.4f} ({_turned(gain)})"
    else:
        verdict = (
            f"{_capital(us)} is not measurably better than {them} ({name} {value:.4f}): "
            f"the gain is {gain.value:+.4f} ({told}), and the interval includes 0"
        )
    cost_words = f": training took {cost}" if cost else ""
    return f"{verdict}. The transformer is not worth its cost here{cost_words}."


def _say_cost(first: Contender, other: Contender) -> str:
    if first.seconds is None or other.seconds is None:
        return ""
    return f"{duration(first.seconds)} against {duration(other.seconds)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
