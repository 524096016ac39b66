"""The feature kinds that there are: Braid's own, and a user's, named by their import path.

`kind: my_kinds.phone` is a package of three modules, like each of Braid's own kinds:

- `declaration.py` with a class `Declaration(FeatureSpec)`: `kind: str`, its settings,
  `raw(column)`, what the graph takes of the column, and `layout()`, what the shards hold;
- `transform.py` with `requests`, `encode` and `stored`, as in
  `transforms.kinds.features.FeatureKind`;
- `encoder.py` with `encode(name, stored, tensor)`, which returns [B, D].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    Discriminator,
    SerializeAsAny,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from transforms.contract.columns.datetimes import Datetime
from transforms.contract.columns.features import (
    Categorical,
    FeatureSpec,
    Image,
    Noise,
    Numeric,
    Text,
)
from transforms.contract.columns.series import Sequence
from transforms.contract.errors import DeclarationError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.user_modules import import_module, module_text

USER_KIND = "my_kinds.kind"  # the tag of all of a user's kinds


def is_user_kind(kind: Any) -> bool:
    """Returns whether a kind is an import path."""
    return isinstance(kind, str) and "." in kind


def user_module(kind: str, part: str) -> Any:
    """Returns one of the modules of a user's kind.

    Raises:
        DeclarationError: It cannot be imported.
    """
    return import_module(f"{kind}.{part}", f"kind {kind}")


def user_code(features: Mapping[str, Any], *parts: str) -> dict[str, dict[str, str]]:
    """Returns what names the code of the users' kinds among features, so that a change is seen.

    The modules are read and not imported: the machine at hand may lack what they import. Of the
    code that they import themselves nothing is known.

    Args:
        features: Declared features by name.
        *parts: Which modules of a kind.

    Returns:
        By kind the fingerprint of each part's text. Braid's own kinds are not in it.

    Raises:
        DeclarationError: A module cannot be found.
    """
    kinds = sorted({spec.kind for spec in features.values() if is_user_kind(spec.kind)})
    return {
        kind: {part: fingerprint(module_text(f"{kind}.{part}", f"kind {kind}")) for part in parts}
        for kind in kinds
    }


def declaration_of(kind: str) -> type[FeatureSpec]:
    """Returns the class that declares a user's kind.

    Raises:
        DeclarationError: It cannot be imported, or declares no feature.
    """
    declaration = getattr(user_module(kind, "declaration"), "Declaration", None)
    if not (isinstance(declaration, type) and issubclass(declaration, FeatureSpec)):
        raise DeclarationError(
            f"kind {kind}",
            expected=f"a class Declaration(FeatureSpec) in {kind}.declaration",
            received=repr(declaration),
            action="Write one, as Braid's page docs/own-kinds.md shows.",
        )
    return declaration


def _declared(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    del handler  # the base class knows none of the kind's own settings
    if isinstance(value, FeatureSpec):
        return value
    return declaration_of(value["kind"]).model_validate_json(json.dumps(value))


def _feature_kind(value: Any) -> Any:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return USER_KIND if is_user_kind(kind) else kind


Feature = Annotated[
    Annotated[Categorical, Tag("categorical")]
    | Annotated[Numeric, Tag("numeric")]
    | Annotated[Datetime, Tag("datetime")]
    | Annotated[Text, Tag("text")]
    | Annotated[Image, Tag("image")]
    | Annotated[Sequence, Tag("sequence")]
    | Annotated[Noise, Tag("noise")]
    | Annotated[SerializeAsAny[FeatureSpec], WrapValidator(_declared), Tag(USER_KIND)],
    Discriminator(_feature_kind),
]
