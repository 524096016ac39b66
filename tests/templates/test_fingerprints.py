"""The names of shards, models and runs, as the commits before gave them: workspaces stay of use.

Whoever changes one of these on purpose makes every user's shards or models anew, and says so in
the changelog.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import flows.templates
from flows.records.run_identity import identity_of
from transforms.contract.declaration.parsing import load
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.contract.workspace.transform_choice import transform_fingerprint

ROOT = Path(flows.templates.__file__).parent
FILE = SourceFile(path="data/day.parquet", size=1, modified_ns=2)
PARTITIONS = [
    Partition(name=f"day=2026-01-0{n}", value=f"2026-01-0{n}", fingerprint=f"f{n}", files=(FILE,))
    for n in (1, 2)
]
# By declaration: data, training, transform, transform that keeps the ids of "b", run, judgement.
EXPECTED = {
    "categorical_numeric/pipeline.yaml": (
        "84410421f29f507b",
        "46ceacd04c5191e3",
        "e1538b477387a186",
        "9a7ce266206e4c67",
        "b7a63dc36953f209",
        "64f4f38641cd3379",
    ),
    "conditional_generator/pipeline.yaml": (
        "31b7a1498a34d909",
        "d29291b05a042f57",
        "f8db63e461252267",
        "0853cfe7882744cc",
        "19ee9fc29fb2368b",
        "272293ffed0509a4",
    ),
    "conditional_generator/recognizer.yaml": (
        "31b7a1498a34d909",
        "bdca4a390c1c41fa",
        "f8db63e461252267",
        "0853cfe7882744cc",
        "4c61090682e93a84",
        "a8dc0f244bbc1489",
    ),
    "conditional_generator/regression.yaml": (
        "31b7a1498a34d909",
        "cd0f197b491a078e",
        "f8db63e461252267",
        "0853cfe7882744cc",
        "cc199aa246095a00",
        "e1d4741a8374044e",
    ),
    "diagnosis/pipeline.yaml": (
        "8bd3e75afd1a3567",
        "3981a1a4138a492e",
        "a1f8ba9a21b4aa9c",
        "570d30e70e2c0c7a",
        "bcf3e4305763c14d",
        "a9779cdb558ab1ab",
    ),
    "forecast/pipeline.yaml": (
        "00a625476793af13",
        "2678e2fa8755e790",
        "eeee0fec23d47ab2",
        "e367f4c6e7766403",
        "1299c535a42063af",
        "43b80849ec9219a0",
    ),
    "image_numeric/pipeline.yaml": (
        "d70d8902eebedbc7",
        "fd978a134bbf6dcd",
        "eebc880be3e7c272",
        "986fcf59ab0b2b27",
        "6a763881eca36992",
        "92a2dc1cd2f3385b",
    ),
    "image_pair/attention.yaml": (
        "2f25aa4f24df22cd",
        "368569ba01785f08",
        "a54f5cb39b8c8b7b",
        "0c51f46946355e79",
        "d91cf03b5b22e426",
        "fe1503322b8ed06b",
    ),
    "image_pair/pipeline.yaml": (
        "2f25aa4f24df22cd",
        "7c28ee61c3ea4511",
        "a54f5cb39b8c8b7b",
        "0c51f46946355e79",
        "567684c0447547ee",
        "fe1503322b8ed06b",
    ),
    "image_text/pipeline.yaml": (
        "ce4da989614cb429",
        "a06d7514e8d7d923",
        "fcf0f7418e1ec526",
        "30572bfd0899fa7f",
        "5bd46b5412c1bcca",
        "199ff52b248d3e1f",
    ),
    "listings/pipeline.yaml": (
        "df0bcd0cb9202525",
        "0e033c2bb2fc0282",
        "9b0884069611efde",
        "00f9a2063fa920f3",
        "8b25f636cda86fda",
        "45461e40a36f53f6",
    ),
    "rgb_depth/pipeline.yaml": (
        "7e298a1f0d483e81",
        "f343d3377231c58c",
        "3b6c4c53d7ec4b25",
        "947b524a3340604b",
        "ff45b28712777bf1",
        "2cdbf1754cc212c3",
    ),
    "text_numeric/pipeline.yaml": (
        "36e101f7f4953abe",
        "2735d45ebcffbcc3",
        "fc48cb4f37ff0a9b",
        "09037161b3c460a7",
        "06e58a9236feb996",
        "bd07cb046ad1e812",
    ),
}
PLACES = (
    "w/shards/t/day=1,a@f",
    "w/rejects/t/day=1@f",
    "w/statistics/d/p@f.v5.arrow",
    "w/keys/2d53b3c21fa5cc78/p@f.npy",
    "w/drift/t/fe2475db49c05259.json",
    "w/shards/t/3e35497e78eefb54@f",
)


def test_every_template_has_its_fingerprints():
    assert set(EXPECTED) == {str(path.relative_to(ROOT)) for path in ROOT.glob("*/*.yaml")}


@pytest.mark.parametrize("declaration", EXPECTED)
def test_a_declaration_names_the_same_shards_model_and_run(declaration: str):
    pipeline = load(ROOT / declaration)
    transform = transform_fingerprint(pipeline, PARTITIONS)
    identity = identity_of(pipeline, transform, PARTITIONS)
    assert EXPECTED[declaration] == (
        pipeline.data_fingerprint(),
        pipeline.training_fingerprint(),
        transform,
        transform_fingerprint(pipeline, PARTITIONS, base="b"),
        identity.run,
        identity.judgement,
    )


def test_files_of_a_workspace_lie_where_they_lay():
    workspace = Workspace(Path("w"))
    assert tuple(map(str, PLACES)) == tuple(
        map(
            str,
            (
                workspace.shards("t", "day=1/a", "f"),
                workspace.rejects("t", "day=1", "f"),
                workspace.statistics("d", "p", "f"),
                workspace.keys("id", "p", "f"),
                workspace.drift("t", {"p": "f"}),
                workspace.shards("t", "p" * 201, "f"),
            ),
        )
    )
