"""The copies of a run's files in a bucket, by which another machine goes on with the run.

They are objects named by their content, and `contents.json`, written last, says which of them are
the run's files now. Each push counts one revision on. A folder notes the revision that it has, so
that whoever is behind takes what is there, and whoever went on from an older one is refused.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.process.attempt import LOCK_FILE
from flows.process.inputs import INPUTS_FOLDER
from flows.process.run_note import (
    NOTE_FILE,
    REMOVE_IT,
    KnownFile,
    RunNote,
    SeenFile,
    changed_since,
    is_in_common,
    note_of,
    put_note,
    seen_in,
)
from trainer.run_folder import COPIED, EXPORT_FOLDER, LOGS_FOLDER
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import checksum
from transforms.contract.spec import Spec
from transforms.contract.workspace.bucket import BucketPath, StoreFailed
from transforms.contract.workspace.cache import (
    CONTENTS_FILE,
    Held,
    download_whole,
    held_file,
)
from transforms.contract.workspace.documents import DamagedFile, reading
from transforms.contract.workspace.files import remove, replacing, write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import is_held

# All that a machine has of a run whose steps were handed over to it.
_OF_A_COPY = {name.partition("/")[0] for name in COPIED} | {
    NOTE_FILE,
    LOCK_FILE,
    INPUTS_FOLDER,
    "jobs",
}
_PUSH_SECONDS = 1.0  # between two looks for what has changed
_LOOKS = 50  # for a moment in which nothing is renamed


class RunContents(Spec):
    """The files that a run has in a bucket.

    Attributes:
        revision: How many pushes there were.
        writer: A name of whoever made the last one.
        files: Their names in the run's folder, and their objects.
    """

    revision: int = 0
    writer: str = ""
    files: tuple[Held, ...] = ()


class RunCopies:
    """A run's folder on this machine, and the run's files in a bucket.

    One machine at a time pushes; threads of this process may.

    Attributes:
        folder: The run's folder.
        place: The run's place in the bucket.
    """

    def __init__(self, folder: Path, place: BucketPath) -> None:
        self.folder = folder
        self.place = place
        self._writer = uuid.uuid4().hex
        self._is_tidy = False
        self._lock = threading.Lock()

    def push(self) -> None:
        """Writes what has changed here since the last push or pull.

        Raises:
            StoreFailed: The bucket does not take it. Nothing here is changed by that.
            BraidError: Another machine has gone on with the run meanwhile.
        """
        with self._lock:
            note = note_of(self.folder)
            if is_in_common(note, seen_in(self.folder)):
                return
            before = self._contents()
            if before.revision < note.revision:  # they were removed there, and go there anew
                note = RunNote(revision=before.revision)
            if before.writer != self._writer:  # whose last push may have arrived, and no answer
                self._refuse_other(before, note.revision)
            folder = self.place.bucket.new_scratch(self.folder.name)
            try:
                seen = self._copy(folder, note)
                self._write(folder, before, changed_since(note, seen), seen)
            finally:
                remove(folder)

    def pull(self) -> None:
        """Takes what another machine has pushed since; without that, all here stays.

        Raises:
            StoreFailed: The bucket does not answer.
            DamagedFile: An object is gone, or other than it was written.
        """
        with self._lock:
            while (contents := self._contents()).revision > note_of(self.folder).revision:
                try:
                    self._take_all(contents)
                except DamagedFile:  # which another push may have removed in between
                    if self._contents().revision == contents.revision:
                        raise

    @contextmanager
    def pushing(self, may_push: Callable[[], bool], tell: Callable[[str], None]) -> Iterator[None]:
        """Pushes what changes while the block runs, and all of it at the end.

        A bucket that fails meanwhile is told of, once, and asked again a moment later.

        Args:
            may_push: Returns whether the block's work is still wanted.
            tell: Takes a sentence.

        Raises:
            StoreFailed: The bucket does not take what is there at the end of the block.
            BraidError: Another machine has gone on with the run meanwhile.
        """
        ended, told = threading.Event(), False

        def watch() -> None:
            nonlocal told
            while not ended.wait(_PUSH_SECONDS):
                try:
                    if may_push():
                        self.push()
                except (BraidError, OSError) as error:
                    if not told:
                        tell(f"  is not copied into the store for now: {error}")
                    told = True

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            _end(thread, ended)
            with suppress(BraidError):  # what ends the block is what is to be told
                if may_push():
                    self.push()
            raise
        _end(thread, ended)
        if may_push():
            self.push()

    def _copy(self, folder: Path, note: RunNote) -> dict[str, SeenFile]:
        """Copies what has changed, as it is at one moment; returns what was there at that moment.

        Files come and go by renames, so that another name for one keeps it as it is.
        """
        for _ in range(_LOOKS):
            remove(folder)
            seen = seen_in(self.folder)
            try:
                for name in changed_since(note, seen):
                    _keep(self.folder / name, folder / name)
            except FileNotFoundError:
                continue
            if _without_logs(seen_in(self.folder)) == _without_logs(seen):
                return seen
        raise BraidError(
            str(self.folder),
            expected="a moment in which nothing is written there",
            received=f"changes during {_LOOKS} looks",
            action="Set a higher training.checkpoint_seconds.",
        )

    def _write(
        self,
        folder: Path,
        before: RunContents,
        changed: Sequence[str],
        seen: Mapping[str, SeenFile],
    ) -> None:
        files = {held.file: held for held in before.files if held.file in seen}
        for name in changed:
            held = held_file(folder / name, name)
            if name not in files or files[name].stored != held.stored:
                (self.place / held.stored).upload(folder / name)
            files[name] = held
        contents = RunContents(
            revision=before.revision + 1,
            writer=self._writer,
            files=tuple(files[name] for name in sorted(files)),
        )
        self._refuse_other(self._contents(), before.revision)  # uploads may have taken long
        document = contents.model_dump_json(indent=1)
        write_atomic(self.place / CONTENTS_FILE, document)
        self._put_note(contents, seen)
        self._remove_others(before, contents)

    def _refuse_other(self, contents: RunContents, known: int) -> None:
        if contents.revision != known:
            raise BraidError(
                str(self.place),
                expected=f"revision {known} of the run's files, from which this went on",
                received=f"revision {contents.revision}, of another machine",
                action="Nothing is to do: that machine goes on with the run.",
            )

    def _remove_others(self, before: RunContents, contents: RunContents) -> None:
        """Removes what is not among the files any more, and at first what a kill has left."""
        named = {held.stored for held in contents.files}
        with suppress(StoreFailed):  # the next machine's first push removes it
            if self._is_tidy:
                others = {self.place / held.stored for held in before.files}
            else:
                others = set(self.place.children()) - {self.place / CONTENTS_FILE}
            for place in others:
                if place.name not in named:
                    place.delete()
            self._is_tidy = True

    def _take_all(self, contents: RunContents) -> None:
        note, seen = note_of(self.folder), seen_in(self.folder)
        units: dict[str, list[Held]] = {}
        for held in contents.files:
            units.setdefault(_unit(held.file), []).append(held)
        for unit, files in units.items():
            if not all(self._is_here(held, note, seen) for held in files):
                with replacing(self.folder / unit) as temporary:
                    for held in files:
                        target = temporary / Path(held.file).relative_to(unit)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        download_whole(self.place / held.stored, target, held.bytes, held.checksum)
        for name in seen.keys() - {held.file for held in contents.files}:
            (self.folder / name).unlink(missing_ok=True)
        self._put_note(contents, seen_in(self.folder))

    def _is_here(self, held: Held, note: RunNote, seen: Mapping[str, SeenFile]) -> bool:
        if held.file not in seen or seen[held.file].bytes != held.bytes:
            return False
        if held.file not in changed_since(note, seen):
            return note.files[held.file].checksum == held.checksum
        return checksum(self.folder / held.file) == held.checksum

    def _contents(self) -> RunContents:
        place = self.place / CONTENTS_FILE
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            return RunContents()
        with reading(place, action=REMOVE_IT):
            return RunContents.model_validate_json(content)

    def _put_note(self, contents: RunContents, seen: Mapping[str, SeenFile]) -> None:
        files = {
            held.file: KnownFile(**seen[held.file]._asdict(), checksum=held.checksum)
            for held in contents.files
            if held.file in seen
        }
        noted = note_of(self.folder)
        put_note(self.folder, RunNote(place=noted.place, revision=contents.revision, files=files))


def copies_of(workspace: Workspace, folder: Path) -> RunCopies | None:
    """Returns the copies of a run's files; None where it was given no place for them.

    Args:
        workspace: Where the run lies.
        folder: The run's.
    """
    runs, name = workspace.copied_runs(folder.parent.name), note_of(folder).place
    return RunCopies(folder, runs / name) if runs is not None and name else None


def give_place(workspace: Workspace, folder: Path) -> RunCopies | None:
    """Returns the copies of a run's files, with a place of their own; None without a bucket.

    Args:
        workspace: Where the run lies.
        folder: The run's.
    """
    note = note_of(folder)
    if not note.place and workspace.copied_runs(folder.parent.name) is not None:
        name = f"{folder.name}-{uuid.uuid4().hex[:8]}"
        put_note(folder, note.model_copy(update={"place": name}))
    return copies_of(workspace, folder)


def remove_copies(workspace: Workspace, folder: Path) -> None:
    """Removes a run's copies, if it may have any.

    Raises:
        StoreFailed: The bucket does not answer.
    """
    copies = copies_of(workspace, folder)
    if copies is not None:
        copies.place.delete()


def remove_pushed_runs(folder: Path) -> None:
    """Removes other runs' folders of a machine that steps are handed over to.

    What the store does not have of them stays, and so does what is no copy.

    Args:
        folder: That of the run which the machine goes on with.
    """
    for other in folder.parent.iterdir() if folder.parent.exists() else ():
        if other == folder or is_held(other / LOCK_FILE):
            continue
        is_copy = {path.name for path in other.iterdir()} <= _OF_A_COPY
        if is_copy and is_in_common(note_of(other), seen_in(other)):
            remove(other)


def _end(thread: threading.Thread, ended: threading.Event) -> None:
    ended.set()
    thread.join()


def _unit(name: str) -> str:
    """Returns what is renamed into place as a whole with a file: the export, or the file."""
    return EXPORT_FOLDER if name.startswith(f"{EXPORT_FOLDER}/") else name


def _without_logs(seen: Mapping[str, SeenFile]) -> dict[str, SeenFile]:
    return {n: each for n, each in seen.items() if not n.startswith(f"{LOGS_FOLDER}/")}


def _keep(path: Path, copy: Path) -> None:
    """Gives a file another name, or copies what is appended to, or lies on another disk."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.name != LOGS_FOLDER:
        try:
            copy.hardlink_to(path)
        except FileNotFoundError:
            raise
        except OSError:
            pass
        else:
            return
    shutil.copyfile(path, copy)
