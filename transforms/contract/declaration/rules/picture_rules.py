"""The rules of pictures in a declaration, which join features, targets and the model."""

from __future__ import annotations

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.network.augment import AlignedGeometry
from transforms.contract.spec import RuleBroken


def check_augmentations(pipeline: PipelineSpec) -> None:
    """Refuses changes of what is no picture, of unlike sizes, or of one picture twice.

    Raises:
        RuleBroken: With the place in the document.
    """
    used, moved = pipeline.modelled(), set[str]()
    for name, spec in pipeline.model.augment.items():
        several = isinstance(spec, AlignedGeometry)
        columns = spec.columns if isinstance(spec, AlignedGeometry) else (name,)
        sizes = [size for size in (_size(used, column) for column in columns) if size is not None]
        if several and len(sizes) < len(columns):
            raise RuleBroken(
                f"model.augment.{name}.columns",
                expected="image features and targets",
                received=str(columns),
            )
        if not several and (name not in used.features or not sizes):
            raise RuleBroken(
                f"model.augment.{name}", expected="an image feature", received=repr(name)
            )
        if len(set(sizes)) > 1:
            raise RuleBroken(
                f"model.augment.{name}.columns",
                expected="pictures of one size",
                received=str(sorted(set(sizes))),
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
        if target is None or target.picture_size is None:
            raise RuleBroken(
                f"model.decoders.{name}",
                expected="the name of an image target",
                received=repr(name),
            )
        encoders = map(used.encoder_of, used.pictures_like(target))
        poolings = [e.poolings for e in encoders if e.poolings is not None]
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
        size, least = pipeline.features[name].picture_size, encoder.smallest_side
        if size is not None and min(size) < least:
            raise RuleBroken(
                f"features.{name}",
                expected=f"at least {least}x{least} pixels for the encoder {encoder.kind}",
                received=f"{size[0]}x{size[1]}",
            )


def _size(pipeline: PipelineSpec, name: str) -> tuple[int, int] | None:
    spec = pipeline.features.get(name) or pipeline.targets.get(name)
    return None if spec is None else spec.picture_size
