"""The report's section on wrong answers: real rows, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence

from toprung.judge.leaderboard import plain_text
from toprung.judge.mistakes import Case, Mistakes
from toprung.judge.report.charts.results import draw_bands
from toprung.judge.report.markdown import code, escape, table
from toprung.judge.report.parts import Part

_LONGEST = 220


def tell_mistakes(mistakes: Mistakes, *, label_names: Sequence[str], many: bool) -> list[Part]:
    """Parts of the section; none where no row was wrong."""
    if not mistakes.wrong:
        return []
    share = mistakes.wrong / mistakes.rows
    what = "a wrong answer for some class" if many else "a wrong answer"
    lines: list[Part] = [
        "## Errors",
        "",
        f"{mistakes.wrong:,} of {mistakes.rows:,} test rows ({share:.1%}) have {what}. Rows below "
        "are from the test split: read them to understand, do not choose by them.",
        "",
    ]
    second = "" if many else f" ({escape(label_names[1])})" if len(label_names) == 2 else ""
    lines += _cases(
        f"Confident false positives{second}",
        "The class was answered and is not true; the surest first.",
        mistakes.false_positives,
        many=many,
    )
    lines += _cases(
        f"Confident false negatives{second}",
        "The class is true and was not answered; the surest first.",
        mistakes.false_negatives,
        many=many,
    )
    lines += _cases(
        "Confident errors", "Wrong answers, the surest first.", mistakes.confident, many=many
    )
    lines += _cases(
        "Ambiguous cases",
        "The answers that are nearest to turning over. Of the tenth of the rows with the least "
        f"certain answers {mistakes.ambiguous_share:.1%} are wrong, of all rows {share:.1%}.",
        mistakes.ambiguous,
        many=many,
    )
    lines += _cases(
        "Label-noise candidates",
        f"The ensemble is sure of another class than the label, and {code(mistakes.baseline)}, "
        "which learns in another way, answers the same. Look at these labels first.",
        mistakes.suspects,
        many=many,
    )
    return [*lines, *_tell_bands(mistakes, share), *_tell_words(mistakes)]


def _cases(title: str, words: str, cases: Sequence[Case], *, many: bool) -> list[str]:
    if not cases:
        return []
    header = ["text", "actual", "class in question" if many else "answered", "probability"]
    body = [
        [escape(_cut(c.text)), escape(c.actual), escape(c.answered), f"{c.confidence:.3f}"]
        for c in cases
    ]
    return [f"### {title}", "", words, "", *table(header, body, numbers=1)]


def _tell_bands(mistakes: Mistakes, share: float) -> list[Part]:
    if not mistakes.bands:
        return []
    body = [
        [
            f"{band.low} to {band.high}",
            f"{band.rows:,}",
            f"{band.wrong:,}",
            f"{band.share:.1%}",
            f"{band.interval[0]:.1%} to {band.interval[1]:.1%}",
        ]
        for band in mistakes.bands
    ]
    verdict: list[str] = []
    if mistakes.band_p_value is not None:
        found = mistakes.band_p_value <= 0.05
        verdict = [
            f"Lengths {'differ' if found else 'do not differ measurably'} in their share of "
            f"errors (chi-squared test, p {_equals(mistakes.band_p_value)}).",
            "",
        ]
    return [
        "### By length",
        "",
        *verdict,
        draw_bands(mistakes.bands, share),
        *table(["words", "rows", "wrong", "share", "95 % interval"], body, numbers=4),
    ]


def _tell_words(mistakes: Mistakes) -> list[str]:
    if not mistakes.words_tested:
        return []
    tested = (
        f"{mistakes.words_tested} frequent words were tested with Fisher's exact test, and the "
        "p-values corrected for their number by Holm's method."
    )
    if not mistakes.words:
        said = f"{tested} No word goes with more or fewer errors than chance explains."
        return ["### By word", "", said, ""]
    body = [
        [
            escape(word.word),
            f"{word.rows:,}",
            f"{word.wrong / word.rows:.1%}",
            f"{word.share:.1%}",
            _p(word.p_value),
        ]
        for word in mistakes.words
    ]
    header = ["word", "rows with it", "wrong with it", "wrong without", "p, corrected"]
    return ["### By word", "", tested, "", *table(header, body, numbers=4)]


def _cut(text: str) -> str:
    plain = plain_text(text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _equals(value: float) -> str:
    said = _p(value)
    return said if said.startswith("<") else f"= {said}"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
