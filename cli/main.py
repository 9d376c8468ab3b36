"""The ``everloop`` command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module

import click

from everloop import __version__
from everloop.cli.exceptions import CommandError
from everloop.cli.output import guard_streams, print_error
from everloop.shown import as_entry


@dataclass(frozen=True)
class Command:
    """Where a command is below :mod:`everloop.cli.commands`, as ``module:attribute``, and the line that lists it."""

    place: str
    summary: str


COMMANDS = {
    "init": Command("init:init", "Start a project with an example model and a CI workflow."),
    "check": Command("check:check", "Check declarations, and try models on their samples."),
    "card": Command("card:card", "Show a model's card: purpose, risk, owners, data dictionary."),
    "try": Command("try_:try_", "Train and judge a model on this machine, without a cloud."),
    "backtest": Command("backtest:backtest", "Find out when retraining MODEL would have paid."),
    "preflight": Command("preflight:preflight", "Check what the account lacks, before you deploy."),
    "cost": Command("cost:cost", "What a model costs a month, by part."),
    "data": Command("data:data", "History: the rows a model is first trained on."),
    "train": Command("train:train", "Start the training pipeline and show its steps."),
    "predict": Command("predict:predict", "Ask a model for predictions."),
    "serve": Command("serve:serve", "Serve a version on this machine, by all protocols."),
    "recapture": Command("recapture:recapture", "Bring predicted rows into the lake that are not there."),
    "load": Command("load:load", "A load test at twice the declared peak."),
    "openapi": Command("openapi:openapi", "The OpenAPI document of a model."),
    "labels": Command("labels:labels", "Labels: what really happened."),
    "status": Command("status:status", "Show what serves, what runs, what the monitor found."),
    "trace": Command("trace:trace", "Show how the serving version was made, with all hashes."),
    "manifest": Command("manifest:manifest", "What serves, as a file; --commit keeps it in git."),
    "report": Command("report:report", "Show what the evaluation found, in metrics and in money."),
    "score": Command("score:score", "The ML Test Score: 28 tests, each with its evidence."),
    "explore": Command("explore:explore", "A training set as a page: features, leaks, drift."),
    "runs": Command("runs:runs", "Runs of the training pipeline."),
    "reproduce": Command("reproduce:reproduce_", "Train a version again, and compare it byte for byte."),
    "rollout": Command("rollout:rollout", "Show, start, pause and end rollouts."),
    "rollback": Command("rollout:rollback", "Give the traffic back to the version before, at once."),
    "reconcile": Command("reconcile:reconcile", "Is what is deployed what the registry says?"),
    "drill": Command("drill:drill", "Try a rollback while nothing is wrong, and time it."),
    "restore": Command("restore:restore", "Bring an older version back, if the gate lets it."),
    "waive": Command("waive:waive", "Let a reason of the gate pass, for a time."),
    "retraining": Command("retraining:retraining", "Show the last retraining decision and its reasons."),
    "calibration": Command("calibration:calibration", "How scores follow the labels between trainings."),
    "audit": Command("audit:audit", "Who did what, when and why."),
    "remove": Command("remove:remove", "Remove a model, or all of Everloop, from the account."),
    "local": Command("local:local", "The local cloud: the same templates, on this machine."),
    "replay": Command("replay:replay", "Replay a history on a separate local cloud."),
    "docs": Command("docs:docs", "Show the documentation of this version."),
}
"""Each command in the order in which a person meets them; its imports are paid for when it is typed."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, and none to list them."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The commands' names, none of them imported."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].place.split(":")
        command: click.Command = getattr(import_module(f"everloop.cli.commands.{module}"), attribute)
        command.short_help = COMMANDS[name].summary
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what there is to type, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def everloop() -> None:
    """The closed machine-learning loop on AWS: train, gate, register, serve, monitor, retrain.

    The same commands work on an AWS account and on the local cloud: credentials and endpoint come from the
    environment, as for every AWS tool.

    Exit status: 0 when all went well; 1 when not, and standard error says what to do next; 2 for a wrong command line;
    3 when the gate refuses a candidate (`train`, `restore`, `try`), `reconcile` finds a difference, or `load` a
    limit that is not kept; 130 when interrupted. With --json, standard output is one JSON document, or empty after an
    error.
    """


def main() -> None:
    """Run the command line; an error ends it with status 1 and says what to type next."""
    guard_streams()
    try:
        everloop.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        # It may repeat what was typed, or a file holds.
        error.message = as_entry(error.message)  # type: ignore[misc]  # declared final, and the only place to mend
        error.show()
        sys.exit(error.exit_code)
    except CommandError as error:
        print_error(error.message, error.remedy)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        from everloop.cli.failures import message_and_remedy  # with every library whose errors it knows

        print_error(*message_and_remedy(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
