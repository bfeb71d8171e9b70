"""Secrets of the environment: which values they are, and where they are taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

from toprung.cli import main as command_line
from toprung.core.errors import FixEnvironment, RetryTrial, TrialDiverged
from toprung.core.secrets import redact
from toprung.search.runners._access import close_token_file, make_token, token_path
from toprung.search.runners._base import classify

SECRET = "s3cr3t-v4lu3/+="


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "RAY_AUTH_TOKEN", "GITHUB_TOKEN", "my_token"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WANDB_API_KEY"),
        *("DB_PASSWORD", "PGPASSWORD", "CLIENT_SECRET", "SECRET_KEY", "APIKEY", "SSH_PASSPHRASE"),
        *("AZURE_STORAGE_CONNECTION_STRING", "GOOGLE_CREDENTIALS", "TOKEN_OF_MINE"),
    ],
)
def test_a_variable_whose_name_says_so_is_a_secret(name: str) -> None:
    assert redact(f"x {SECRET} y", {name: SECRET}) == f"x [{name}] y"


@pytest.mark.parametrize(
    "name",
    ["HOME", "AWS_REGION", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "KEYBOARD", "SSH_AUTH_SOCK"],
)
def test_any_other_variable_is_none(name: str) -> None:
    assert redact(SECRET, {name: SECRET}) == SECRET


def test_a_short_value_is_no_secret_and_would_garble_texts() -> None:
    assert redact("the true token", {"A_TOKEN": "true", "B_TOKEN": ""}) == "the true token"


def test_a_secret_is_found_as_addresses_and_python_spell_it() -> None:
    environment = {"A_TOKEN": "ab/cd+ef gh'i", "B_KEY": "-----BEGIN\nline-of-the-key\n-----END"}
    for text in ("ab%2Fcd%2Bef%20gh%27i", "ab/cd+ef gh'i", "only line-of-the-key of it"):
        assert "[" in redact(text, environment)
        assert "ef" not in redact(text, environment).replace("[", "").lower() or "only" in text
    assert "line-of-the-key" not in redact(repr(environment["B_KEY"]), environment)


def test_of_two_secrets_that_begin_alike_the_longer_goes_first() -> None:
    environment = {"A_TOKEN": "12345678", "B_TOKEN": "12345678-more"}
    assert redact("12345678-more 12345678", environment) == "[B_TOKEN] [A_TOKEN]"


@pytest.mark.parametrize(
    "kind", [ValueError, RuntimeError, ConnectionError, RetryTrial, TrialDiverged]
)
def test_the_failure_of_a_trial_quotes_no_secret(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijkl")
    assert classify(kind("401 for hf_abcdefghijkl")).message.endswith("401 for [HF_TOKEN]")
    long = classify(kind("x" * 490 + "hf_abcdefghijkl")).message
    assert "hf_" not in long


def test_the_failure_of_a_trial_can_be_written_whatever_its_words_are() -> None:
    message = classify(ValueError(b"a\xff.csv".decode("utf-8", "surrogateescape"))).message
    assert message.encode("utf-8").endswith(b"a?.csv")


@pytest.mark.parametrize("error", [FixEnvironment, KeyError, OSError])
@pytest.mark.parametrize("debug", [False, True])
def test_an_error_on_the_command_line_quotes_no_secret_and_moves_no_terminal(
    error: type[Exception],
    debug: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise error("hf_abcdefghijkl \x1b]0;title\x07 \x9b31m \u202e [red]x[/]")

    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijkl")
    monkeypatch.setenv("TOPRUNG_DEBUG", "1" if debug else "")
    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit):
        command_line.main()
    told = capsys.readouterr()
    assert "hf_abcdefghijkl" not in told.err + told.out
    assert "[HF_TOKEN]" in told.err
    if not debug:
        assert not set("\x1b\x07\x9b\u202e") & set(told.err)
        assert "[red]x[/]" in told.err


def test_a_token_file_is_made_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_token()
    file = token_path()
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_text()
    assert len(kept) == 64
    file.chmod(0o644)
    make_token()
    close_token_file()
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, kept)


def test_a_token_of_the_environment_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x" * 64)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_token()
    assert not list(tmp_path.iterdir())
