"""Datasets; importing this package registers them in DATASET_REGISTRY."""

from desra.data import artifact_dataset, degraded_dataset, paired_dataset

__all__ = ["artifact_dataset", "degraded_dataset", "paired_dataset"]
