"""The wheel, in an environment of its own and a project that has folders of our names.

The page `docs/notebook.ipynb` is run there, cell by cell.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.machine import declared, make_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = ("flows", "trainer", "transforms", "pyproject.toml", "setup.py", "README.md", "LICENSE")
LOAD_MODEL = """
import braid
model = braid.load("braid-price/pipeline.yaml").champion
import keras
print(sorted(keras.models.load_model(model.keras_file).output))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, folder)
        else:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(folder)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """Returns an interpreter that has the wheel and what it requires, and nothing else."""
    path = make_environment(tmp_path_factory.mktemp("environment") / "venv", declared())
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--offline"]
    subprocess.run([*command, "--python", str(path), str(wheel)], check=True)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name in ("flows", "transforms", "trainer", "infra"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ValueError('the user has {name}')")
    return folder


def other_pythons() -> Iterator[str]:
    """Yields the versions that the wheel is for, but for the one that runs this."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for classifier in project["classifiers"]:
        version = re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier)
        if version and version[1] != f"3.{sys.version_info.minor}":
            yield version[1]


def interpreter(version: str) -> Path | None:
    """Returns an interpreter of a version, of the path or of pyenv's, if one is at hand."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    command = shutil.which(f"python{version}")
    for path in [*([Path(command)] if command else []), *pyenv.glob(f"{version}.*/bin/python")]:
        told = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False)
        if told.stdout.startswith(f"Python {version}."):
            return path
    return None


def run(python: Path, project: Path, *arguments: str) -> str:
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), *arguments],
        cwd=project,
        env=environment | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_takes_one_name_and_has_all_that_is_read_beside_the_code(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"braid", "braid_pipelines-0.1.0.dist-info"}
    read = {
        path.relative_to(ROOT)
        for package in ("flows", "trainer", "transforms")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }
    assert {str(path) for path in read} - {
        name.removeprefix("braid/").replace("py.typed", "flows/facade/py.typed") for name in names
    } == set()


def imported(tree: ast.AST) -> Iterator[str]:
    """Yields the modules that a module imports by their whole names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def test_no_module_of_a_wheel_imports_from_outside_of_braid(wheel):
    outside = {
        (name, module)
        for archive in [zipfile.ZipFile(wheel)]
        for name in archive.namelist()
        if name.endswith(".py")
        for module in imported(ast.parse(archive.read(name)))
        if module.split(".")[0] in ("flows", "trainer", "transforms")
    }
    assert outside == set()


@pytest.mark.parametrize("package", ["flows", "trainer", "transforms"])
def test_whatever_names_a_module_as_text_asks_for_its_whole_name(package):
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named = {
            module
            for module in re.findall(r"[\"']((?:flows|trainer|transforms)(?:\.\w+)+)[\"']", text)
            if list(ROOT.glob(f"{module.replace('.', '/')}.py"))
        }
        assert not named or "full_name" in text or "python_m" in text, (path, named)


def run_notebook(python: Path, project: Path) -> None:
    program = ROOT / "tests/support/notebook.py"
    told = run(python, project, str(program), str(ROOT / "docs/notebook.ipynb"))
    assert "price: the new model became the champion" in told
    assert "(data:image/png;base64," in told
    assert "area: not_finite" in told
    assert "A run does nothing: nothing is new since run" in told


def test_the_notebook_runs_in_a_project_with_folders_of_our_names(python, project):
    run_notebook(python, project)


def test_the_champions_network_loads(python, project):
    assert run(python, project, "-c", LOAD_MODEL).endswith("['price']\n")


@pytest.mark.pythons
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("version", other_pythons())
def test_the_notebook_runs_with_every_python(version, wheel, tmp_path):
    path = interpreter(version)
    if path is None:
        pytest.skip(f"no Python {version} is at hand")
    uv, python = [sys.executable, "-m", "uv"], tmp_path / "venv" / "bin" / "python"
    subprocess.run(
        [*uv, "venv", "--quiet", "--python", str(path), str(tmp_path / "venv")], check=True
    )
    # Bytecode: else each step would compile TensorFlow, and Prefect's server take minutes to start.
    command = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    subprocess.run([*command, str(wheel)], check=True)
    run_notebook(python, tmp_path)
