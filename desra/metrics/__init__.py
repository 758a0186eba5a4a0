"""Scores: image quality, masks against a truth, curves, bootstrap intervals, pyiqa's metrics."""
