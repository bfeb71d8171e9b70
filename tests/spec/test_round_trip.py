"""A spec, written out with its defaults and read again, is the same spec."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toprung.spec.load import parse_spec

FLOATS = st.floats(0.001, 0.5)
LABELS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12
) | st.sampled_from(["no", "1e-5", "0o17", "null", "~", "=", "<<", "12:30", "2001-01-01", "true"])


def interval(numbers: st.SearchStrategy[Any], kind: str) -> st.SearchStrategy[Any]:
    """``{kind: [low, high], log: …}`` of two different numbers."""
    ends = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)
    return st.fixed_dictionaries({kind: ends}, optional={"log": st.booleans()})


def parameter(numbers: st.SearchStrategy[Any], kind: str) -> st.SearchStrategy[Any]:
    """A fixed number, a choice of them or an interval."""
    several = st.lists(numbers, min_size=1, max_size=3, unique=True)
    return numbers | several | interval(numbers, kind)


SPACES = st.fixed_dictionaries(
    {
        "backbone": st.sampled_from(["minilm", ["minilm", "distilbert"]])
        | st.fixed_dictionaries(
            {"minilm": st.fixed_dictionaries({"depth": parameter(st.integers(1, 6), "int")})}
        )
    },
    optional={
        "adapter": st.just(["full", "lora"])
        | st.fixed_dictionaries(
            {"lora": st.fixed_dictionaries({"rank": parameter(st.integers(1, 64), "int")})},
            optional={"full": st.none() | st.just({}), "frozen": st.just({})},
        ),
        "pooling": st.lists(
            st.sampled_from(["cls", "mean", "max", "attention"]), min_size=1, unique=True
        ),
        "loss": st.sampled_from(["focal", {"cross_entropy": {"smoothing": 0.1}, "focal": None}]),
        "learning_rate": parameter(FLOATS, "float"),
        "dropout": parameter(FLOATS, "float"),
        "max_length": parameter(st.integers(8, 512), "int"),
    },
)
DATA = st.fixed_dictionaries(
    {"path": st.sampled_from(["rows", "/rows", "org/rows"]), "text": LABELS},
    optional={"train_rows": st.integers(1, 10**6), "leaks": st.just("warn")},
).map(lambda data: {**data, "label": f"{data['text']}_label"})
SPECS = st.fixed_dictionaries(
    {"task": st.just("single_label"), "data": DATA, "space": SPACES},
    optional={
        "metric": st.sampled_from(["accuracy", "log_loss"]),
        "scheduler": st.sampled_from(["fifo", "asha", {"asha": {"rule": "stop"}}]),
        "searcher": st.sampled_from(["random", "grid", "tpe"]),
        "resource": st.sampled_from([{"unit": "epochs"}, {"min": 8, "max": 100}]),
        "budget": st.fixed_dictionaries({"trials": st.integers(1, 99), "minutes": FLOATS}),
        "trial": st.fixed_dictionaries({"gpus": FLOATS, "precision": st.just("bfloat16")}),
        "baselines": st.lists(st.sampled_from(["majority", "tfidf_logreg"]), unique=True),
        "seed": st.integers(0, 99),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SPECS)
def test_a_resolved_spec_is_the_spec(tree: dict[str, Any]) -> None:
    given_text = yaml.safe_dump(tree, allow_unicode=True).encode()
    # PyYAML's writer knows YAML 1.1 only, so what 1.2 reads otherwise is put in quotes here.
    spec = parse_spec(
        given_text, path="try.yaml", overrides=[f"data.text={_quoted(tree['data']['text'])}"]
    )
    again = parse_spec(spec.resolved.encode(), path="elsewhere/spec.yaml")
    assert again == spec
    assert again.resolved == spec.resolved
    assert again.combinations == spec.combinations
    assert spec.data.text == tree["data"]["text"]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
