"""Datasets; importing this package registers them in DATASET_REGISTRY."""

from desra.data import degraded_dataset  # noqa: F401
