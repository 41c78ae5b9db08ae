"""Recordings on disk to batches in memory: manifests, random crops, augmentation, loading."""
