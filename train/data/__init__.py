"""Training data: scanned manifests, random crops, augmentation, token shards, loading."""
