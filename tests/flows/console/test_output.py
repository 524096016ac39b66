from __future__ import annotations

import json
import math

import click
import pytest
from click.testing import CliRunner

from flows.commands.options import Commands
from flows.console.failures import readable_failures
from flows.console.harmless import say
from flows.console.output import OUTPUT, give
from transforms.contract.errors import DeclarationError


@click.group(cls=Commands)
def cli() -> None:
    """A command line of the test's."""


@cli.command()
def count() -> None:
    """Says and gives something."""
    say("two rows")
    give({"rows": 2, "source": "postgresql://braid:hunter22@db/x"})


@cli.command()
@click.pass_context
def tell(context: click.Context) -> None:
    """Ends with another exit code."""
    say("not whole")
    give({"share": math.nan})
    context.exit(1)


@cli.command()
def refuse() -> None:
    """Fails by a user's mistake."""
    raise DeclarationError("here", expected="a", received="b", action="Mend it.")


def _object(*arguments: str) -> tuple[dict, str]:
    done = CliRunner().invoke(cli, arguments)
    return json.loads(done.stdout), done.stderr


def test_json_is_one_object_and_sentences_go_beside_it():
    told, beside = _object("count", "--json")
    source = "postgresql://braid:***@db/x"
    result = {"rows": 2, "source": source}
    assert told == {"command": "count", "exit_code": 0, "result": result}
    assert beside == "two rows\n"


def test_the_object_has_the_exit_code_and_null_for_a_number_that_is_none():
    told, _ = _object("tell", "--json")
    assert told == {"command": "tell", "exit_code": 1, "result": {"share": None}}


def test_without_json_nothing_but_the_sentence_is_written():
    assert CliRunner().invoke(cli, ["count"]).output == "two rows\n"


def test_a_failure_is_an_object_as_well(capsys):
    with pytest.raises(SystemExit) as caught, readable_failures("braid"):
        cli(["refuse", "--json"], standalone_mode=False)
    assert caught.value.code == 2
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 2
    assert told["error"] == {
        "type": "DeclarationError", "place": "here", "expected": "a", "received": "b",
        "action": "Mend it.",
    }  # fmt: skip
    CliRunner().invoke(cli, ["count"])
    assert not OUTPUT.json, "the next command chooses anew"
