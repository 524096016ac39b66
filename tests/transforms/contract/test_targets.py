from __future__ import annotations

from pathlib import Path

from tests.transforms.contract.minimal import MASK
from transforms.contract.declaration import load
from transforms.contract.decoders import UpsamplingDecoder
from transforms.contract.pipeline import PipelineSpec


def test_a_picture_is_a_target_by_its_content(declaration: Path) -> None:
    depth = "targets.depth={kind: image, content: continuous, height: 9, width: 8, channels: 3}"
    pipeline = load(declaration, [MASK, depth])
    assert pipeline.targets["mask"].layout() == ("uint8", (96, 96, 1))
    assert pipeline.targets["depth"].layout() == ("uint8", (9, 8, 3))
    assert {"test_mask_iou", "test_depth_psnr"} <= set(pipeline.metric_names())
    assert pipeline.pictures_like(pipeline.targets["mask"]) == ["photo"]
    assert pipeline.decoder_of("mask") == UpsamplingDecoder()
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline
