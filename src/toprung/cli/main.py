"""The command line: verbs in the order of the path, errors in words, exit codes kept."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer
from rich.markup import escape

from toprung import __version__
from toprung.cli import (
    board,
    data,
    ensemble,
    estimate,
    export,
    logs,
    predict,
    report,
    resume,
    search,
    status,
    stop,
    tensorboard,
    validate,
)
from toprung.cli.console import ERRORS, leave_pipe
from toprung.core.errors import FixEnvironment, Interrupted, ToprungError
from toprung.core.files import AWAY, NO_ROOM
from toprung.core.secrets import redact

app = typer.Typer(
    name="toprung",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="One YAML file in, the best-config ensemble out: hyperparameter search for fine-tuning "
    "transformers on Ray. The verbs stand in the order of the path.",
    epilog="Exit codes: 0 ok · 1 no usable trial, or halted · 2 bad spec or data · 3 environment · "
    "4 partial · 130 interrupted (resumable).",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"toprung {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options that stand before every verb."""
    if debug:
        os.environ["TOPRUNG_DEBUG"] = "1"


app.command("data")(data.show_data)
app.command("validate")(validate.validate)
app.command("estimate")(estimate.estimate)
app.command("search")(search.search)
app.command("resume")(resume.resume)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("stop")(stop.stop)
app.command("board")(board.board)
app.command("tensorboard")(tensorboard.tensorboard)
app.command("ensemble")(ensemble.ensemble)
app.command("export")(export.export)
app.command("predict")(predict.predict)
app.command("report")(report.report)


def main() -> None:
    """Runs a verb; an error of toprung's becomes its message and its exit code."""
    try:
        app(standalone_mode=True)
    except ToprungError as error:
        _trace()
        if not isinstance(error, Interrupted):
            ERRORS.print(f"[bold red]error:[/] {escape(redact(str(error)))}", highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Interrupted.exit_code)
    except BrokenPipeError:
        leave_pipe()
    except Exception as error:
        # The edge of the process: whatever it is, the user is told in words.
        _trace()
        told = redact(f"{type(error).__name__}: {error}").strip().partition("\n")[0]
        advice = f"Run 'toprung --debug {sys.argv[1] if sys.argv[1:] else ''} ...' to see where."
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            advice = "Nothing that was journaled is lost. Make room, then run the same again."
        elif isinstance(error, OSError) and error.errno == AWAY:
            advice = "Nothing that was journaled is lost. Run the same again once it answers."
        ERRORS.print(f"[bold red]error:[/] {escape(told)}\n{escape(advice)}", highlight=False)
        environment = isinstance(error, OSError | MemoryError)
        sys.exit(FixEnvironment.exit_code if environment else ToprungError.exit_code)


def _trace() -> None:
    if os.environ.get("TOPRUNG_DEBUG"):
        print(redact(traceback.format_exc()), file=sys.stderr)


if __name__ == "__main__":
    main()
