"""Datasets and what they are made of; modules named *_dataset.py register in DATASET_REGISTRY."""
