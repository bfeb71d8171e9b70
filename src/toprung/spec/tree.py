"""Reads YAML 1.2 into a tree that knows the place and the line of every value."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from toprung.core.errors import Problem
from toprung.spec.nodes import Node, Problems, has_controls, shown
from toprung.trial.space import Scalar

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_DEPTH = 50
MAX_TEXT = 4096
MAX_KEY = 100
_TAG = "tag:yaml.org,2002:"
_TAGS = {_TAG + name for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_DIGITS = list("-+.0123456789")
RESOLVERS = (  # YAML 1.2's core schema: 1e-5 is a number, no is a string
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"(?:[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400})\Z"), _DIGITS),
    (
        "float",
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        _DIGITS,
    ),
)


class _Resolver(yaml.resolver.BaseResolver):
    """Tells plain scalars apart by YAML 1.2's rules, not by PyYAML's 1.1."""


for _name, _pattern, _first in RESOLVERS:
    _Resolver.add_implicit_resolver(_TAG + _name, _pattern, _first)


class _Composer(
    yaml.reader.Reader,
    yaml.scanner.Scanner,
    yaml.parser.Parser,
    yaml.composer.Composer,
    _Resolver,
):
    """PyYAML's own composer with limits on depth and number of nodes."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        yaml.composer.Composer.__init__(self)
        _Resolver.__init__(self)
        self.depth = 0
        self.count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Composes one node; too deep or too many is an error with its line."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self.count += 1
        self.depth += 1
        if self.depth > MAX_DEPTH or self.count > MAX_NODES:
            what = (
                f"nested deeper than {MAX_DEPTH}" if self.depth > MAX_DEPTH else "too many values"
            )
            raise yaml.composer.ComposerError(None, None, f"{what}; a search needs far less", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_tree(data: bytes, problems: Problems, *, place: str = "") -> Node | None:
    """The tree of a YAML text; None, and why in ``problems``, where it cannot be read.

    Args:
        data: the bytes of the file, or of one value from the command line.
        problems: what is found wrong is added here.
        place: what stands before every place; such a tree has no line numbers.
    """
    text = _decode(data, problems, place)
    if text is None:
        return None
    try:
        composer = _Composer(text)
        root = composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if place or mark is None else mark.line + 1
        problems.append(Problem(place, _explain(error), line))
        return None
    except yaml.reader.ReaderError as error:
        line = None if place else text.count("\n", 0, error.position) + 1
        number = error.character if isinstance(error.character, int) else ord(error.character[:1])
        character = f"the character U+{number:04X}"
        problems.append(Problem(place, f"{character} cannot stand in YAML; remove it.", line))
        return None
    except (ValueError, OverflowError):
        line = None if place else composer.line + 1
        text = "an escape such as \\U00110000 names no character; write the character itself."
        problems.append(Problem(place, text, line))
        return None
    if root is None:
        return Node(place, None if place else 1, None)
    builder = _Builder(problems, has_lines=not place)
    return builder.build(root, place, root.start_mark.line + 1)


def _decode(data: bytes, problems: Problems, place: str) -> str | None:
    if len(data) > MAX_BYTES:
        text = f"{len(data):,} bytes; a search is YAML of at most {MAX_BYTES:,}. Is it a data file?"
        problems.append(Problem(place, text))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        guess = "looks like UTF-16" if wide else f"byte 0x{data[error.start]:02x} is not UTF-8"
        line = None if place else data.count(b"\n", 0, error.start) + 1
        problems.append(Problem(place, f"{guess}; save the file as UTF-8.", line))
        return None


def _explain(error: yaml.MarkedYAMLError) -> str:
    text = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in text:
        return "a tab stands where YAML wants spaces; indent with spaces."
    if "expected a single document" in text:
        return "a second document starts here; keep one document, without '---'."
    if "mapping values are not allowed" in text:
        text += "; indent neighbours alike, and put a text that holds ': ' in quotes"
    if "found undefined alias" in text or "alphabetic or numeric" in text:
        text += "; put a text that starts with * or & in quotes"
    return f"not valid YAML: {text[:300]}."


class _Builder:
    """Turns PyYAML's nodes into ours; aliases are expanded and counted."""

    def __init__(self, problems: Problems, *, has_lines: bool) -> None:
        self.problems = problems
        self.has_lines = has_lines
        self.left = MAX_NODES
        self.depth = 0

    def build(self, node: yaml.Node, place: str, line: int) -> Node:
        """Our node of PyYAML's; what cannot be used becomes null with a problem."""
        place = place if len(place) <= 200 else place[:60] + "..."
        at = Node(place, line if self.has_lines else None, None)
        self.left -= 1
        if self.left < 0 or self.depth > MAX_DEPTH:
            if self.left == -1 or self.depth > MAX_DEPTH:
                self.problems.add(at, "aliases expand without end; write the values out.")
                self.left = min(self.left, -2)
            return at
        if node.tag not in _TAGS:
            tag = node.tag.replace(_TAG, "!!")
            self.problems.add(at, f"the tag {shown(tag)} is refused; write a plain value.")
            return at
        self.depth += 1
        try:
            return Node(at.place, at.line, self._value(node, at))
        finally:
            self.depth -= 1

    def _value(self, node: yaml.Node, at: Node) -> Scalar | tuple[Node, ...] | Mapping[str, Node]:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return tuple(
                self.build(child, f"{at.place}[{i}]", child.start_mark.line + 1)
                for i, child in enumerate(node.value)
            )
        value = _scalar(node.tag.removeprefix(_TAG), str(node.value))
        if isinstance(value, str) and len(value) > MAX_TEXT:
            self.problems.add(at, f"a text of {len(value):,} characters; shorten it.")
            return None
        if isinstance(value, str) and has_controls(value):
            self.problems.add(
                at, f"{shown(value)} holds a line break or control character; remove it."
            )
            return None
        return value

    def _mapping(self, node: yaml.MappingNode, at: Node) -> Mapping[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            here = Node(at.place, line if self.has_lines else None, None)
            plain = isinstance(key_node, yaml.ScalarNode) and len(key_node.value) <= MAX_KEY
            if not plain or has_controls(key_node.value):
                self.problems.add(here, f"a key must be one word of at most {MAX_KEY} characters.")
                continue
            key = key_node.value
            place = f"{at.place}.{key}".lstrip(".")
            child = self.build(value_node, place, line)
            if key in found:
                before = f" (first in line {found[key].line})" if self.has_lines else ""
                self.problems.add(child, f"the key {shown(key)} is repeated{before}; keep one.")
            else:
                found[key] = child
        return found


def _scalar(kind: str, text: str) -> Scalar:
    matching = {name: pattern for name, pattern, _ in RESOLVERS}
    if kind == "null":
        return None
    if kind == "bool" and matching["bool"].match(text):
        return bool(text.lower() == "true")
    if kind == "int" and matching["int"].match(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)
    if kind in ("int", "float") and matching["float"].match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
