"""What the entries of a network's weights stand for."""

from __future__ import annotations

from tests.trainer.world import manifest_of, pipeline_of
from trainer.network.model import build_model
from trainer.training.axes import Segment, axes_by_path
from transforms.contract.declaration.parsing import parse
from transforms.contract.workspace.manifest import StoredFeature

PRICE = StoredFeature(
    name="price", role="feature", kind="numeric", dtype="float32", shape=(), edges=((0.0, 1.0),)
)
SIZES = PRICE.model_copy(
    update={"name": "sizes", "shape": (2,), "edges": ((0.0, 2.0, 3.0), (0.0, 1.0))}
)
SOLD = StoredFeature(name="sold", role="target", kind="binary", dtype="float32", shape=())
NUMBERS = (Segment(name="price", size=1), Segment(name="sizes", size=2))
JOINED = (Segment(name="price", size=1 + 8), Segment(name="sizes", size=2 + 2 * 8))


def test_every_member_knows_numbers_and_their_pieces_by_the_feature():
    pipeline = parse(
        {
            "name": "numbers",
            "source": {"path": "data", "key": "id"},
            "features": {"price": {"kind": "numeric"}, "sizes": {"kind": "numeric", "length": 2}},
            "targets": {"sold": {"kind": "binary"}},
            "model": {"fusion": {"kind": "concatenate", "hidden": [4]}},
        }
    )
    manifest = manifest_of(pipeline_of()).model_copy(update={"stored": (PRICE, SIZES, SOLD)})
    found = axes_by_path(pipeline, manifest, build_model(pipeline, manifest, members=2))
    for member in ("member_0", "member_1"):
        assert found[f"{member}/price.piecewise/kernel"] == (NUMBERS, None, None)
        assert found[f"{member}/price.piecewise/bias"] == (NUMBERS, None)
        assert found[f"{member}/fusion.dense_0/kernel"] == (JOINED, None)
        # The head sees the dense layer before what it reads.
        deep = Segment(name="fusion", size=4)
        assert found[f"{member}/sold/kernel"] == ((deep, *JOINED), None)
