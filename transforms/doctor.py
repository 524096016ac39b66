"""The examination of a runner: one unit of the table is sent through, and broken links are named.

It loads no TensorFlow, neither here nor on the worker, whose installation is read by its metadata.
"""

from __future__ import annotations

import platform
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import apache_beam as beam

from transforms.beam import is_in_process, marked_errors, run_pipeline
from transforms.contract.declaration.secrets import expand_options
from transforms.contract.declaration.source import Format
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.masking import masked
from transforms.contract.process.events import report_doing
from transforms.contract.spec import Spec
from transforms.contract.steps.doctor import DoctorJob, DoctorResult, Link, LinkName
from transforms.contract.workspace.bucket import StoreFailed
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.files import (
    TEMPORARY,
    Place,
    children,
    remove,
    write_atomic,
)
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import this_process
from transforms.runners.arrival import Arrival
from transforms.runners.job_server import ENDPOINT, Bounds, reach
from transforms.source.formats import read_piece, read_schema
from transforms.source.scan import open_filesystem
from transforms.source.units import WorkUnit, plan_units

# Less than a minute in all, with the start of this process.
_BOUNDS = Bounds(reach=8, submit=18, start=30, silence=5)
_FIRST_ROWS = 1_000
# Whose versions decide what rows become.
_PACKAGES = (
    "apache-beam",
    "braid-pipelines",
    "numpy",
    "pillow",
    "pyarrow",
    "pydantic",
    "tensorflow",
    "tensorflow-transform",
    "tfx-bsl",
)
# A worker without Braid, or of another Python, fails where it unpickles what it is to do.
_NOT_INSTALLED = re.compile(
    r"ModuleNotFoundError|ImportError|AttributeError|UnpicklingError|opcode"
)


class Installation(Spec):
    """The installation that a process runs.

    Attributes:
        python: Its version.
        packages: Versions by name; "none" is not installed.
    """

    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Installation:
        """Returns that of this process."""
        return cls(python=platform.python_version(), packages=dict(map(_version, _PACKAGES)))

    def differences(self, other: Installation) -> list[str]:
        """Returns what another has in other versions; a Python's last number makes none."""
        mine = {"Python": self.python.rpartition(".")[0]} | self.packages
        others = {"Python": other.python.rpartition(".")[0]} | other.packages
        return [
            f"{name} {others.get(name, 'none')} instead of {version}"
            for name, version in mine.items()
            if others.get(name, "none") != version
        ]


class Order(Spec):
    """What the worker is told, in a form that any of its installations reads.

    Attributes:
        sender: The installation of who sends it.
        workspace: The folder of the workspace.
        store: The store that is declared for it.
        name: The name of the examination's folders in both.
        token: What the file `token` there has.
        source: The path of the table.
        format: The format of its files, if the declaration says one.
    """

    sender: Installation
    workspace: str
    store: StoreSpec | None
    name: str
    token: str
    source: str
    format: Format | None

    def places(self) -> dict[LinkName, Place]:
        """Returns the folders that a worker has to see, each by the link that it shows.

        Of a workspace with a store in a bucket workers see the bucket alone.
        """
        workspace = Workspace.declared(Path(self.workspace), self.store)
        signs, places = workspace.beam_signs(), dict[LinkName, Place]()
        if signs is None:
            places["workspace"] = workspace.beam_jobs() / self.name
        if workspace.store is not None:
            hidden = workspace.store / f"{TEMPORARY}{self.name}"
            places[_BY_WORKER] = hidden if signs is None else signs / self.name
        return places


class Answer(Spec):
    """What the worker says when all went well.

    Attributes:
        worker: Its process.
        installation: What it runs.
        rows: Rows of the source that it read.
    """

    worker: str
    installation: Installation
    rows: int


class BrokenLink(BraidError):  # noqa: N818 - it names what happened, as BraidError's others do
    """A link of the way that does not hold; its place is the link's name."""


def doctor(text: str) -> DoctorResult:
    """Runs a `DoctorJob` given as JSON: tries the store, and sends a unit through the runner.

    Raises:
        BraidError: No unit can be cut from the partition here, so that no link is tried.
    """
    job = DoctorJob.model_validate_json(text)
    unit, order = _unit(job), _order(job)
    endpoint = None if is_in_process(job.pipeline.beam) else _endpoint(job)
    names: tuple[LinkName, ...] = (
        *(("store",) if order.store else ()),
        *(("job server",) if endpoint is not None else ()),
        "worker",
        "installation",
        *order.places(),
        "source",
    )
    notes: dict[LinkName, str] = {}
    try:
        if order.store is not None:
            _try_store(order.places()[_BY_WORKER])
            notes["store"] = f"{order.store.path.partition('?')[0]} is written, read and listed"
        if endpoint is not None:
            with _broken(BraidError, "job server"):
                reach(endpoint, _BOUNDS.reach)
            notes["job server"] = masked(f"{endpoint} answers")
        answer, seconds = _sent(job, unit, order)
    except BrokenLink as error:
        return DoctorResult(links=_up_to(error, names, notes))
    finally:
        with suppress(StoreFailed):  # that it does not answer is told
            for place in order.places().values():
                remove(place)
    notes |= {
        "worker": f"{answer.worker}, {seconds:.1f} s until it was done",
        "installation": f"Python {answer.installation.python}, all packages as here",
        "workspace": f"{job.workspace} is read and written there",
        _BY_WORKER: "it is read and written there",
        "source": f"{answer.rows:,} rows read there of {unit.pieces[0].path}",
    }
    return DoctorResult(links=tuple(_link(name, notes) for name in names))


_BY_WORKER: LinkName = "store, by a worker"


def _order(job: DoctorJob) -> Order:
    return Order(
        sender=Installation.here(),
        workspace=job.workspace,
        store=job.pipeline.declared_store(),
        name=f"doctor-{uuid.uuid4().hex}",
        token=uuid.uuid4().hex,
        source=job.pipeline.source.path,
        format=job.pipeline.source.format,
    )


def _try_store(folder: Place) -> None:
    """Writes, reads, lists and removes a file where the store is.

    Raises:
        BrokenLink: Something of it cannot be done, or another content comes back.
    """
    report_doing("asking the store")
    place, content = folder / "token", uuid.uuid4().hex
    with _broken((BraidError, OSError), "store"):
        write_atomic(place, content)
        came, listed = place.read_bytes().decode(errors="replace"), children(folder)
        remove(place)
        if came != content or listed != [place] or place.exists():
            raise BraidError(
                str(place),
                expected="what was written there, alone in its folder, until it is removed",
                received=f"{came!r}, with {len(listed)} names listed",
                action="Look what else writes or caches there.",
            )


def _endpoint(job: DoctorJob) -> str | None:
    endpoint = expand_options(job.pipeline.beam.options).get("job_endpoint")
    return None if endpoint is None else str(endpoint)


def _unit(job: DoctorJob) -> WorkUnit:
    source = job.pipeline.source
    filesystem, _ = open_filesystem(source.path)
    first = job.partition.model_copy(update={"files": job.partition.files[:1]})
    units = plan_units(first, format_=source.format, filesystem=filesystem, at_least=1)
    if not units:
        raise BraidError(
            first.files[0].path,
            expected="rows, of which a worker reads some",
            received="none",
            action="Give it rows, or remove it.",
        )
    return units[0]


def _sent(job: DoctorJob, unit: WorkUnit, order: Order) -> tuple[Answer, float]:
    """Sends a unit and returns the worker's answer, with the seconds that it took."""
    places = order.places()
    for link, place in places.items():
        with _broken((BraidError, OSError), link):
            write_atomic(place / "token", order.token)

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        probe = _Probe(order.model_dump_json(), arrival)
        _ = p | "Unit" >> beam.Create([unit]) | "Probe" >> beam.ParDo(probe)

    begun = time.monotonic()
    report_doing("waiting for the runner")
    try:
        run_pipeline(job.pipeline.beam, job.folders(), build, _BOUNDS)
    except BrokenLink:
        raise
    except BraidError as error:
        raise _named(error) from error
    link, place = next(iter(places.items()))
    with _broken((BraidError, OSError), link):
        return read_json(place / "answer.json", Answer), time.monotonic() - begun


def _named(error: BraidError) -> BrokenLink:
    """Returns which link it is of which a runner tells."""
    if error.place == ENDPOINT:
        return _as(error, "job server")
    return _as(error, "installation" if _NOT_INSTALLED.search(error.received) else "worker")


def _up_to(
    error: BrokenLink, names: tuple[LinkName, ...], notes: dict[LinkName, str]
) -> tuple[Link, ...]:
    """Returns the links up to the broken one."""
    (broken,) = (name for name in names if name == error.place)
    before = names[: names.index(broken)]
    return (
        *(_link(name, notes) for name in before),
        Link(name=broken, error=ErrorReport.of(error)),
    )


def _link(name: LinkName, notes: dict[LinkName, str]) -> Link:
    return Link(name=name, note=notes.get(name, ""))


class _Probe(beam.DoFn):  # type: ignore[misc]
    """Looks, where the work is to be done, at all that it needs.

    Args:
        order: An `Order` as JSON.
        arrival: What the worker tells when it is there.
    """

    def __init__(self, order: str, arrival: Arrival) -> None:
        self._order, self._arrival = order, arrival

    def process(self, unit: WorkUnit) -> None:
        """Reads the first rows of a unit, and answers."""
        with marked_errors("doctor"):
            order = Order.model_validate_json(self._order)
            installation = Installation.here()
            _refuse_differences(order.sender.differences(installation))
            places = order.places()
            first = next(iter(places))
            with _broken((BraidError, OSError), first):
                self._arrival.tell()
            for link, place in places.items():
                with _broken((BraidError, OSError), link):
                    _check_token(order, place)
            with _broken((BraidError, OSError), "source"):
                rows = _first_rows(order, unit)
            answer = Answer(worker=this_process(), installation=installation, rows=rows)
            for link, place in places.items():
                with _broken((BraidError, OSError), link):
                    write_atomic(place / "answer.json", answer.model_dump_json())


def _refuse_differences(differences: list[str]) -> None:
    if differences:
        raise BrokenLink(
            "installation",
            expected="the worker's Python and packages to be those of the machine that submits",
            received=f"{', '.join(differences)} in process {this_process()}",
            action="Install the same there, and look which Python its worker command starts.",
        )


def _check_token(order: Order, folder: Place) -> None:
    if (folder / "token").read_bytes() != order.token.encode():
        raise BraidError(
            str(folder),
            expected="the files that the machine that submits writes there",
            received="others",
            action="Give a --workspace on a file system that both share.",
        )


def _first_rows(order: Order, unit: WorkUnit) -> int:
    filesystem, _ = open_filesystem(order.source)
    piece = unit.pieces[0]
    column = read_schema(order.format, filesystem, piece.path).names[:1]
    rows = read_piece(order.format, filesystem, piece, column, _FIRST_ROWS)
    return sum(batch.num_rows for batch in [next(rows, None)] if batch is not None)


def _version(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:
        return package, "none"


@contextmanager
def _broken(kinds: type[Exception] | tuple[type[Exception], ...], link: LinkName) -> Iterator[None]:
    """Names the link that an error of the block is about."""
    try:
        yield
    except kinds as error:
        raise _as(error, link) from error


def _as(error: Exception, link: LinkName) -> BrokenLink:
    if isinstance(error, BraidError):
        where = "" if error.place in (ENDPOINT, "beam") else f"{error.place}: "
        return BrokenLink(
            link,
            expected=error.expected,
            received=f"{where}{error.received}",
            action=error.action,
        )
    return BrokenLink(
        link,
        expected=f"the {link}, by the same path as on the machine that submits",
        received=f"{error} in process {this_process()}",
        action="Put it on a file system that both share, with the rights to read it, and the "
        "workspace's to write it.",
    )
