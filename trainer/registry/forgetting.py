"""Taking a version out of the registry, unless somebody has just given it an alias."""

from __future__ import annotations

from typing import Any

from transforms.contract.errors import BraidError


def forget_version(client: Any, name: str, version: str) -> None:
    """Deletes a version and its run; the caller keeps the workspace's other processes out.

    Args:
        client: MLflow's.
        name: The registered model's.
        version: The version.

    Raises:
        BraidError: It has an alias.
    """
    aliases = client.get_registered_model(name).aliases
    named = sorted(alias for alias, other in aliases.items() if str(other) == version)
    if named:
        raise BraidError(
            f"version {version} of {name}",
            expected="no alias, as it had a moment ago",
            received=", ".join(named),
            action="It stays. Run the same command again for what is left.",
        )
    run = client.get_model_version(name, version).run_id
    # The version last: while it is listed, a removal that was killed is begun again.
    client.delete_run(run)
    client.delete_model_version(name, version)
