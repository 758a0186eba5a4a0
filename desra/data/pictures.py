"""Pictures that need no download: photographs out of scikit-image, cut and degraded."""

from pathlib import Path


def resolve_folder(value: str, kind: str) -> Path:
    return Path(value)
