"""Whatever stands in the file or on the command line, the answer is a spec or FixSpec."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toprung.core.errors import FixSpec
from toprung.spec.load import load_spec, parse_spec
from toprung.spec.reader import REQUIRED
from toprung.spec.space import KEYS
from toprung.spec.spec import SearchSpec

RELAXED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS_OF = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "fuzz" / "words.py"))
SECTIONS = WORDS_OF["SECTIONS"]
WORDS = st.sampled_from(WORDS_OF["WORDS"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.floats(),
    st.text(max_size=8),
    WORDS,
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4),
        st.dictionaries(st.sampled_from(["float", "int"]), st.lists(inner, max_size=2), max_size=2),
    ),
    max_leaves=25,
)
LINES = st.builds("{}.{}={}".format, WORDS, WORDS, TREES)
SPECS = st.fixed_dictionaries(
    {
        "task": st.just("single_label") | TREES,
        "data": st.just({"path": "rows"}) | TREES,
        "space": st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5) | TREES,
    },
    optional={key: TREES for key in SECTIONS if key not in REQUIRED},
)


def check(data: bytes, *overrides: str) -> None:
    """Reads a spec; anything but FixSpec with problems fails the test."""
    found = read(data, overrides)
    if isinstance(found, FixSpec):
        assert found.problems
        assert len(str(found)) < 100_000
    else:
        assert parse_spec(found.resolved.encode(), path="again.yaml") == found


def read(data: bytes, overrides: Sequence[str]) -> SearchSpec | FixSpec:
    """The spec, or the problems."""
    try:
        return parse_spec(data, path="try.yaml", overrides=overrides)
    except FixSpec as error:
        return error


@RELAXED
@given(st.binary(max_size=200))
def test_any_bytes_are_a_spec_or_its_problems(data: bytes) -> None:
    check(data)


@RELAXED
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@#,? \n\t1.e~<=", max_size=60))
def test_any_yaml_like_text_is_a_spec_or_its_problems(text: str) -> None:
    check(text.encode())


@RELAXED
@given(SPECS | TREES)
def test_any_tree_is_a_spec_or_its_problems(tree: object) -> None:
    check(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", errors="surrogatepass"))


@RELAXED
@given(
    st.lists(st.text(max_size=20) | st.builds("{}.{}={}".format, WORDS, WORDS, TREES), max_size=3)
)
def test_any_command_line_is_a_spec_or_its_problems(overrides: list[str]) -> None:
    check(b"task: single_label\ndata: {path: rows}\nspace: {backbone: minilm}\n", *overrides)


@RELAXED
@given(st.text(max_size=300))
def test_any_name_of_a_search_is_one_or_the_known_ones(name: str) -> None:
    with suppress(FixSpec):
        assert load_spec(name).name
