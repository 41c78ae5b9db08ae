"""Recordings wherever they are: manifests, folders, shards."""
