"""What a declaration may say of pictures: rules that join features, targets and the model."""

from __future__ import annotations

from transforms.contract.columns.features import Image
from transforms.contract.columns.targets import ImageTarget
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.network.augment import AlignedGeometry
from transforms.contract.network.encoders import BackboneEncoder, CnnEncoder
from transforms.contract.spec import RuleBroken

SMALLEST_BACKBONE_SIDE = 32  # pixels; these networks halve a picture five times


def check_augmentations(pipeline: PipelineSpec) -> None:
    """Refuses changes of what is no picture, of unlike sizes, or of one picture twice.

    Raises:
        RuleBroken: With the place in the document.
    """
    used, moved = pipeline.modelled(), set[str]()
    for name, spec in pipeline.model.augment.items():
        several = isinstance(spec, AlignedGeometry)
        columns = spec.columns if isinstance(spec, AlignedGeometry) else (name,)
        found = [_picture(used, column) for column in columns]
        images = [image for image in found if image is not None]
        if several and len(images) < len(columns):
            raise RuleBroken(
                f"model.augment.{name}.columns",
                expected="image features and targets",
                received=str(columns),
            )
        if not several and not isinstance(used.features.get(name), Image):
            raise RuleBroken(
                f"model.augment.{name}", expected="an image feature", received=repr(name)
            )
        sizes = {(image.height, image.width) for image in images}
        if len(sizes) > 1:
            raise RuleBroken(
                f"model.augment.{name}.columns",
                expected="pictures of one size",
                received=str(sorted(sizes)),
            )
        twice = moved.intersection(columns) if spec.moves_pixels else set()
        if twice or len(set(columns)) < len(columns):
            raise RuleBroken(
                f"model.augment.{name}",
                expected="one geometry for each picture",
                received=f"several for {columns}",
            )
        moved.update(columns if spec.moves_pixels else ())


def check_decoders(pipeline: PipelineSpec) -> None:
    """Refuses a decoder of what is no picture, or with other doublings than its maps.

    Raises:
        RuleBroken: With the place in the document.
    """
    used = pipeline.modelled()
    for name, decoder in pipeline.model.decoders.items():
        target = used.targets.get(name)
        if not isinstance(target, ImageTarget):
            raise RuleBroken(
                f"model.decoders.{name}",
                expected="the name of an image target",
                received=repr(name),
            )
        poolings = [
            len(encoder.filters)
            for encoder in map(used.encoder_of, used.pictures_like(target))
            if isinstance(encoder, CnnEncoder)
        ]
        if poolings and decoder.filters and len(decoder.filters) != max(poolings):
            raise RuleBroken(
                f"model.decoders.{name}.filters",
                expected=f"{max(poolings)} entries, as many as the encoders have",
                received=str(len(decoder.filters)),
            )


def check_backbones(pipeline: PipelineSpec) -> None:
    """Refuses a picture that is too small for its encoder.

    Raises:
        RuleBroken: With the place in the document.
    """
    for name, encoder in pipeline.model.encoders.items():
        feature = pipeline.features[name]
        if not isinstance(encoder, BackboneEncoder) or not isinstance(feature, Image):
            continue
        if min(feature.height, feature.width) < SMALLEST_BACKBONE_SIDE:
            raise RuleBroken(
                f"features.{name}",
                expected=f"at least {SMALLEST_BACKBONE_SIDE}x{SMALLEST_BACKBONE_SIDE} pixels for "
                f"the encoder {encoder.kind}",
                received=f"{feature.height}x{feature.width}",
            )


def _picture(pipeline: PipelineSpec, name: str) -> Image | ImageTarget | None:
    found = pipeline.features.get(name) or pipeline.targets.get(name)
    return found if isinstance(found, Image | ImageTarget) else None
