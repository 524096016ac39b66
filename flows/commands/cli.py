"""The command line. Heavy imports stay inside the commands, so that help and checks are quick."""

from __future__ import annotations

import atexit
import gc
import sys

import click

from flows.commands.options import Commands
from flows.commands.verbs.champion_commands import history, models, promote, rollback
from flows.commands.verbs.declaration_commands import init, schema, templates, validate
from flows.commands.verbs.doctor_command import doctor
from flows.commands.verbs.launch_commands import backfill, deploy, run, tune
from flows.commands.verbs.monitor_command import monitor
from flows.commands.verbs.plan_command import plan
from flows.commands.verbs.predict_command import predict
from flows.commands.verbs.rejects_command import rejects
from flows.commands.verbs.run_commands import compare, runs
from flows.commands.verbs.serve_command import serve
from flows.commands.verbs.shadow_command import shadow
from flows.commands.verbs.ui_command import ui
from flows.commands.verbs.workspace_commands import check, prune, status


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="braid-pipelines", prog_name="braid")
def cli() -> None:
    """One table of mixed columns in, one registered multi-input, multi-output model out.

    Exit codes: 0 done, 1 it failed, or something is damaged or broken, 2 the declaration or the
    command was wrong, 3 the gate refused the model, 4 a monitored day differs, 130 Ctrl-C, 143
    SIGTERM.
    """


for command in (
    *(init, templates, validate, schema),
    *(status, plan, run, tune, backfill, deploy, runs, compare, check, doctor),
    *(predict, serve, monitor, ui),
    *(models, promote, rollback, history, prune, shadow, rejects),
):
    cli.add_command(command)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    from flows.console.failures import end_in_order_on_signals, readable_failures

    end_in_order_on_signals()
    # Python ends by looking through all that was imported for garbage: two seconds of a run.
    atexit.register(gc.freeze)
    with readable_failures("braid"):
        sys.exit(cli(standalone_mode=False))
