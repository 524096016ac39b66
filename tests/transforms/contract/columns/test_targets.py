from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import MASK
from transforms.contract.declaration.parsing import load
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.network.decoders import UpsamplingDecoder


def test_a_picture_is_a_target_by_its_content(declaration: Path) -> None:
    depth = "targets.depth={kind: image, content: continuous, height: 9, width: 8, channels: 3}"
    pipeline = load(declaration, [MASK, depth])
    assert pipeline.targets["mask"].layout() == ("uint8", (96, 96, 1))
    assert pipeline.targets["depth"].layout() == ("uint8", (9, 8, 3))
    assert {"test_mask_iou", "test_depth_psnr"} <= set(pipeline.metric_names())
    assert pipeline.pictures_like(pipeline.targets["mask"]) == ["photo"]
    assert pipeline.decoder_of("mask") == UpsamplingDecoder()
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline


def test_smoothed_labels_are_a_matter_of_training(declaration: Path) -> None:
    plain, smoothed = load(declaration), load(declaration, ["targets.sold.label_smoothing=0.1"])
    assert smoothed.data_fingerprint() == plain.data_fingerprint()
    assert smoothed.training_fingerprint() != plain.training_fingerprint()
    with pytest.raises(DeclarationError, match=r"targets\.sold\.label_smoothing"):
        load(declaration, ["targets.sold.label_smoothing=1"])


@pytest.mark.parametrize("kind", ["numeric", "sequence, length: 3"])
def test_the_scale_of_a_target_shapes_its_shards(declaration: Path, kind: str) -> None:
    declarations = [
        load(declaration, [f"targets.cost={{kind: {kind}{scale}}}"])
        for scale in ("", *(f", scale: {s}" for s in ("z_score", "log", "quantile", "none")))
    ]
    assert declarations[0].targets["cost"].scale is None
    assert len({d.data_fingerprint() for d in declarations}) == 5
