"""The ``everloop`` command."""

from __future__ import annotations

import sys
from importlib import import_module

import click
from botocore.exceptions import BotoCoreError, ClientError

from everloop import __version__
from everloop.cli.exceptions import CommandError
from everloop.cli.output import guard_streams, keep_traceback, print_error
from everloop.cli.remedies import aws_remedy, module_remedy, registry_remedy, system_remedy, unforeseen_remedy
from everloop.dataset.exceptions import DatasetError
from everloop.model_file import ModelFileError
from everloop.registry.exceptions import RegistryError
from everloop.shown import as_entry

COMMANDS = {
    "init": "everloop.cli.commands.init:init",
    "check": "everloop.cli.commands.check:check",
    "try": "everloop.cli.commands.try_:try_",
    "backtest": "everloop.cli.commands.backtest:backtest",
    "preflight": "everloop.cli.commands.preflight:preflight",
    "data": "everloop.cli.commands.data:data",
    "train": "everloop.cli.commands.train:train",
    "predict": "everloop.cli.commands.predict:predict",
    "labels": "everloop.cli.commands.labels:labels",
    "status": "everloop.cli.commands.status:status",
    "trace": "everloop.cli.commands.trace:trace",
    "runs": "everloop.cli.commands.runs:runs",
    "rollout": "everloop.cli.commands.rollout:rollout",
    "retraining": "everloop.cli.commands.retraining:retraining",
    "calibration": "everloop.cli.commands.calibration:calibration",
    "audit": "everloop.cli.commands.audit:audit",
    "local": "everloop.cli.commands.local:local",
    "replay": "everloop.cli.commands.replay:replay",
    "docs": "everloop.cli.commands.docs:docs",
}
"""Each command and where it is; a command's imports are paid for when it is typed."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The commands in the order in which a person meets them, none of them imported."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def everloop() -> None:
    """The closed machine-learning loop on AWS: train, gate, register, serve, monitor, retrain.

    The same commands work on an AWS account and on the local cloud: credentials and endpoint come from the
    environment, as for every AWS tool.

    Exit status: 0 when all went well; 1 when not, and standard error says what to type next; 2 for a command typed
    wrong; 3 when the gate refuses a candidate (`train`, `try`); 130 when interrupted. With --json, standard output is
    one JSON document, or empty after an error.
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
    except RegistryError as error:
        print_error(str(error), registry_remedy(error))
        sys.exit(1)
    except (ModelFileError, DatasetError) as error:
        print_error(str(error))
        sys.exit(1)
    except (BotoCoreError, ClientError) as error:
        print_error(str(error), aws_remedy(error))
        sys.exit(1)
    except CommandError as error:
        print_error(error.message, error.remedy)
        sys.exit(1)
    except ModuleNotFoundError as error:
        print_error(f"the Python package {error.name} is not installed", module_remedy(error))
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except OSError as error:
        print_error(str(error), system_remedy(error))
        sys.exit(1)
    except Exception as error:
        print_error(f"{type(error).__name__}: {error}", unforeseen_remedy(keep_traceback(error)))
        sys.exit(1)


if __name__ == "__main__":
    main()
