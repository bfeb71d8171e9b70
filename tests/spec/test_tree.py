"""YAML's traps: numbers, booleans, repeated keys, encodings, bombs."""

from __future__ import annotations

import pytest

from toprung.spec.nodes import Problems
from toprung.spec.tree import MAX_BYTES, read_tree


def read(data: bytes) -> tuple[object, list[str]]:
    """The plain value of a YAML text, and its problems as people see them."""
    problems = Problems()
    node = read_tree(data, problems)
    return node.plain() if node else None, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-3", -3),
        ("010", 10),
        ("0x10", 16),
        ("0o17", 15),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("n", "n"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2001-01-01", "2001-01-01"),
        ("'1e-5'", "1e-5"),
        ("!!str 5", "5"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_plain_values_are_read_by_the_rules_of_yaml_1_2(text: str, value: object) -> None:
    found, problems = read(f"a: {text}".encode())
    assert (found, problems) == ({"a": value}, [])
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


def test_a_key_is_always_text() -> None:
    assert read(b"no: 1\n5: 2\nnull: 3\n") == ({"no": 1, "5": 2, "null": 3}, [])


def test_every_value_knows_its_line() -> None:
    node = read_tree(b"# one\na:\n  b:\n    - 1\n    - 2\nc: 3\n", Problems())
    assert node is not None
    numbers = node.items["a"].items["b"].value
    assert isinstance(numbers, tuple)
    assert [n.line for n in numbers] == [4, 5]
    assert (node.items["a"].items["b"].line, node.items["c"].line) == (3, 6)
    assert numbers[1].place == "a.b[1]"


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == ({"a": 1, "b": 2}, [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: 1\nb: 2\na: 3\n", ["line 3, a: ", "repeated", "first in line 1"]),
        (b"a:\n\tb: 1\n", ["line 2: ", "a tab", "indent with spaces"]),
        ("a: b".encode("utf-16"), ["looks like UTF-16", "save the file as UTF-8"]),
        ("a: 1\nb: é\n".encode("latin-1"), ["line 2: ", "byte 0xe9", "save the file as UTF-8"]),
        (b"a: 1\nb: \x00\n", ["line 2: ", "U+0000", "remove it"]),
        (b"a: 1\n---\nb: 1\n", ["line 2: ", "second document"]),
        (b"a: b: c\n", ["line 1: ", "mapping values", "in quotes"]),
        (b"a: *x\n", ["line 1: ", "'x'", "starts with *", "in quotes"]),
        (b"a: [1, 2\n", ["line 2: ", "not valid YAML"]),
        (b"a: !!python/name:os.system x\n", ["line 1, a: ", "python/name:os.system", "refused"]),
        (b"a: !mine x\n", ["line 1, a: ", "'!mine'", "refused"]),
        (b'a: "\\u001b[31m"\n', ["line 1, a: ", "control character"]),
        (b'a: "\\ud800"\n', ["line 1, a: ", "control character"]),
        (b'a: 1\nb: "\\U00110000"\n', ["line 2: ", "names no character"]),
        (b'a: 1\nb: "\\UFFFFFFFF"\n', ["line 2: ", "names no character"]),
        (b"? [1, 2]\n: 3\n", ["line 1: ", "a key must be one word"]),
        (b"a: " + b"[" * 200, ["line 1: ", "nested deeper than 50"]),
        (b"a: [" + b"1, " * 30_000 + b"1]", ["line 1: ", "too many values"]),
        (b"a: " + b"x" * 5000, ["line 1, a: ", "5,000 characters"]),
        (b"#" * (MAX_BYTES + 1), ["1,048,577 bytes", "Is it a data file?"]),
        (b"a: &a [*a]", ["line 1, a[0]", "aliases expand without end"]),
    ],
)
def test_what_is_not_a_search_is_told_with_its_line(data: bytes, words: list[str]) -> None:
    _, problems = read(data)
    assert len(problems) == 1
    assert [word for word in words if word not in problems[0]] == [], problems


@pytest.mark.timeout(60)  # Its 9 to the power of 10 values would take hours.
def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        lines.append(f"{name}: &{name} [" + ", ".join([f"*{before}"] * 9) + "]")
    _, problems = read("\n".join(lines).encode())
    assert len(problems) == 1
    assert "aliases expand without end" in problems[0]


def test_a_harmless_alias_is_expanded() -> None:
    assert read(b"a: &x [1, 2]\nb: *x\n") == ({"a": [1, 2], "b": [1, 2]}, [])
