"""Training data: manifests, random crops, augmentation, token shards, loading."""
