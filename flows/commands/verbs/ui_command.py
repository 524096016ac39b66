"""The command `braid ui`."""

from __future__ import annotations

import sys
import webbrowser

import click

from flows.commands.options import HOST, Project, listening_port, on_project
from flows.console.harmless import say
from flows.console.output import give


@click.command()
@on_project
@HOST
@listening_port(5000, least=1)
def ui(project: Project, host: str, port: int) -> None:
    """Show the registry in a browser: runs with curves and parameters, versions, reports.

    It is MLflow's own page, of the extra `server`; it has no password. Ctrl-C ends it. Where the
    declaration names an MLflow server, the page is that server's.
    """
    from flows.steps.registration import reach_registry
    from trainer.registry.page import PagePlace, serving_page

    pipeline, folders = project.pipeline, project.workspace
    registry = reach_registry(pipeline, folders)
    if registry.is_missing:
        say(f"No version of {pipeline.registered_name()} is registered yet.")
        give({"address": None})
        return
    if registry.on_server:
        _open(registry.address)
        return
    place = PagePlace(host, port)
    with serving_page(registry, place) as page:
        _open(place.address)
        click.get_current_context().exit(page.wait())


def _open(address: str) -> None:
    say(f"The registry's page is at {address}")
    give({"address": address})
    if sys.stdout.isatty():
        webbrowser.open(address)
