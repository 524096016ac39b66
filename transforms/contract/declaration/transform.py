"""The way of rows to shards as a user declares it: refits, sizes, the Beam runner, the store."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from transforms.contract.spec import Bytes, Count, Named, RuleBroken, Spec

_SCHEMES = ("gs", "s3")  # of buckets

Threshold = Annotated[float, Field(gt=0, le=1)]


class DriftSpec(Spec):
    """The distance of the new rows that is a reason to refit.

    Attributes:
        threshold: The largest distance of any feature or target, from 0 to 1, that is none. A
            number whose mean moves by a quarter of its standard deviation is 0.1 from where it was.
            Times move on by themselves, and are a reason only with a threshold of their own.
        features: Another threshold for some features or targets.
    """

    threshold: Threshold = 0.1
    features: dict[str, Threshold] = {}


class TransformSpec(Spec):
    """The way of rows to shards.

    Attributes:
        refit: What new rows do to vocabularies and scales. "always" computes them anew from all
            training rows, which transforms every partition anew. "never" keeps the newest transform
            of the same features, targets and split, so that only new partitions are transformed.
            "when_drifted" does so too unless the rows that it was not frozen on differ by too much.
        drift: How much is too much.
        vocabulary: What a refit does to ids. "refit" gives them anew, by falling frequency. With
            "stable" known terms keep theirs and new ones come after them; those that are no longer
            among the most frequent keep a slot too, so that a vocabulary may outgrow its size.
        shard_bytes: A shard is closed once it has this size. 128 MiB keeps the number of files
            small and is read in a second.
        min_shards: At least so many training shards in the whole data set, so that parallel
            readers have something to interleave.
        max_reject_fraction: More rejected rows than this, as a share of a run's rows, fail it.
    """

    refit: Literal["always", "never", "when_drifted"] = "always"
    drift: DriftSpec = DriftSpec()
    vocabulary: Literal["refit", "stable"] = "refit"
    shard_bytes: Bytes = 128 * 1024 * 1024
    min_shards: Count = 8
    max_reject_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05


class BeamSpec(Spec):
    """The Beam runner that does the work.

    Attributes:
        runner: "DirectRunner" is Beam's in-process runner on all cores of this machine; any other
            name is passed to Beam.
        options: Beam's pipeline options, by their names (`flink_master`, `project`, ...). On a
            cluster `parallelism` says how many units of work it does at once, by which the table
            is cut; Dataflow's `max_num_workers` says so too, and without either it is 8. Of
            "DirectRunner" `direct_num_workers` does, by default the cores of this machine.
    """

    runner: Named = "DirectRunner"
    options: dict[str, Any] = {}

    @property
    def is_in_process(self) -> bool:
        """Whether the runner's workers are threads of the process that runs it."""
        return self.runner == "DirectRunner"


def _refuse_unknown_scheme(path: str) -> str:
    scheme, separator, rest = path.partition("://")
    if separator and (scheme not in _SCHEMES or not rest.strip("/")):
        raise RuleBroken(
            expected="a folder, gs://BUCKET/FOLDER or s3://BUCKET/FOLDER", received=repr(path)
        )
    return path


StorePath = Annotated[Named, AfterValidator(_refuse_unknown_scheme)]


class StoreSpec(Spec):
    """A store, and how much of a bucket is held on this machine.

    Attributes:
        path: A folder, or a URL such as "gs://bucket/braid" or "s3://bucket/braid". A relative path
            is taken from the folder of the declaration. Credentials are those of the environment.
        cache_bytes: Of a bucket, the size of the verified copies that the workspace keeps; what was
            read longest ago makes room. Files that are being read stay, so that it may be exceeded
            by some forty shards.
    """

    path: StorePath
    cache_bytes: Bytes = 20 * 1024**3


def _form_of(value: Any) -> str:
    return "path" if isinstance(value, str) else "keys"


Store = Annotated[
    Annotated[StorePath, Tag("path")] | Annotated[StoreSpec, Tag("keys")], Discriminator(_form_of)
]


def store_of(declared: str | StoreSpec) -> StoreSpec:
    """Returns a declared store with all its keys."""
    return StoreSpec(path=declared) if isinstance(declared, str) else declared
