"""The command line as a user meets it, as far as it needs neither Prefect nor TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.commands.cli import cli
from transforms.contract.process.own_packages import python_m

_HEAVY = ("tensorflow", "prefect", "apache_beam", "keras", "mlflow", "matplotlib")


def braid(*arguments, cwd=None, **variables) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python_m("braid", *map(str, arguments)),
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=120,
        check=False,
    )


@pytest.fixture
def project(tmp_path) -> Path:
    """A declaration and a CSV table that it fits."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("id,area,sold\na,50.5,1\nb,61,0\n")
    declaration = {
        "name": "flats",
        "source": {"path": "data", "format": "csv", "key": "id"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"sold": {"kind": "binary"}},
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declaration))
    return tmp_path


def _change(project: Path, **changes) -> Path:
    path = project / "pipeline.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    return path


def test_help_loads_no_library_but_the_command_lines():
    libraries = (*_HEAVY, "pyarrow", "numpy", "pydantic", "rich")
    code = (
        "import sys\n"
        "from flows.commands.cli import main\n"
        "sys.argv = ['braid', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print([name for name in {libraries} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Bring the model up to date" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_a_run_loads_before_it_has_something_to_do_is_no_framework():
    libraries = (*_HEAVY, "matplotlib")
    code = (
        "import sys\n"
        "import flows.commands.launch, flows.console.progress\n"
        "import flows.report.summary, flows.records.run_identity\n"
        f"print([name for name in {libraries} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_validate_imports_no_heavy_framework(project):
    code = (
        "import sys\n"
        "from flows.commands.cli import cli\n"
        f"cli(['validate', {str(project / 'pipeline.yaml')!r}], standalone_mode=False)\n"
        f"print([name for name in {_HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "is valid: 1 feature, 1 target; 1 file in 1 partition fits it." in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_says_how_much_it_writes():
    for name, command in cli.commands.items():
        flags = {flag for option in command.params for flag in option.opts}
        assert {"-v", "-q", "--json"} <= flags, name


def test_validate_tells_the_values_in_json_and_fails_where_a_run_would(project):
    (project / "data" / "rows.csv").write_text("id,area,sold\na,50.5,1\nb,large,0\n")
    done = braid("validate", "pipeline.yaml", "--json", cwd=project)
    assert done.returncode == 1
    (area, _) = json.loads(done.stdout)["result"]["values"]["columns"]
    assert area["rejected"] == {"not_a_number": 1}
    assert "so that a run fails" in done.stderr


def test_version():
    assert braid("--version").stdout.startswith("braid, version ")


def test_schema_is_the_declarations():
    assert "features" in json.loads(braid("schema").stdout)["properties"]


def test_templates_are_listed():
    lines = braid("templates").stdout.splitlines()
    assert any(line.startswith("listings ") and "Flats for sale" in line for line in lines)


def test_init_writes_a_project_that_validates_and_says_what_comes_next(tmp_path):
    done = braid("init", "mine", cwd=tmp_path)
    assert done.returncode == 0
    assert "braid run mine/pipeline.yaml" in done.stdout
    assert "mine/README.md" in done.stdout
    assert braid("validate", "mine/pipeline.yaml", cwd=tmp_path).returncode == 0


def test_init_refuses_a_folder_with_something_in_it(project):
    done = braid("init", project)
    assert done.returncode == 2
    assert "a folder that is empty or not there yet" in done.stderr
    assert sorted(path.name for path in project.iterdir()) == ["data", "pipeline.yaml"]


def test_init_names_the_templates(tmp_path):
    done = braid("init", tmp_path / "x", "--template", "houses")
    assert done.returncode == 2
    assert "one of " in done.stderr
    assert "listings" in done.stderr


@pytest.mark.parametrize("command", ["validate", "run"])
def test_an_unknown_key_is_refused_with_its_place_and_a_suggestion(project, command):
    _change(project, traning={"epochs": 3})
    done = braid(command, "pipeline.yaml", cwd=project)
    assert done.returncode == 2
    assert "did you mean 'training'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "workspace").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("validate",),
        ("run",),
        ("status",),
        ("models",),
        ("runs",),
        ("tune",),
        ("deploy",),
        ("backfill", "--from", "1"),
        ("predict", "--input", "data/rows.csv", "--output", "scores.csv"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_ends_with_2_for_a_wrong_declaration(project, command):
    _change(project, training={"epochs": 10**30})
    done = braid(*command[:1], "pipeline.yaml", *command[1:], cwd=project)
    assert done.returncode == 2, done.stderr
    assert "a number of more than 63 bits" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_function_that_is_not_there_is_named_before_a_row_is_read(project, command):
    (project / "own.py").write_text("import keras\n\ndef build(pipeline, manifest): ...\n")
    _change(project, model={"builder": "own:built"})
    done = braid(command, "pipeline.yaml", cwd=project)
    assert done.returncode == 2
    assert "model.builder expected a function 'built' in own" in " ".join(done.stderr.split())
    _change(project, model={"encoders": {"area": {"kind": "custom", "builder": "other:build"}}})
    done = braid(command, "pipeline.yaml", cwd=project)
    assert done.returncode == 2
    assert "model.encoders.area.builder" in done.stderr
    assert not (project / "workspace" / "transforms").exists()


def test_set_takes_part_in_validation(project):
    done = braid("validate", "pipeline.yaml", "--set", "training.epochs=none", cwd=project)
    assert done.returncode == 2
    assert "training.epochs" in done.stderr


def test_a_missing_column_is_named(project):
    _change(project, features={"floor": {"kind": "numeric"}})
    done = braid("run", "pipeline.yaml", cwd=project)
    assert done.returncode == 1, "the table may be what is wrong"
    assert "a column 'floor'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "workspace").exists()


def test_a_wrong_command_is_a_wrong_command():
    assert braid("fly").returncode == 2
    assert braid("run").returncode == 2


def test_no_declaration(tmp_path):
    done = braid("run", "pipeline.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "`braid init DIR` writes one" in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in braid("run", "x.yaml", cwd=tmp_path, BRAID_DEBUG="1").stderr


def test_a_workspace_that_is_no_folder_is_refused(project):
    (project / "file").write_text("")
    done = braid("run", "pipeline.yaml", "--workspace", "file/inside", cwd=project)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_no_runs_yet(project):
    done = braid("runs", "pipeline.yaml", cwd=project)
    assert done.returncode == 0
    assert "No runs in" in done.stdout


def test_predict_refuses_a_format_that_it_cannot_write(project):
    done = braid(
        "predict", "pipeline.yaml", "--input", "data/rows.csv", "--output", "x.xls", cwd=project
    )
    assert done.returncode == 2
    assert ".parquet or .csv" in done.stderr
