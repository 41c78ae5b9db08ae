"""Random crops of recordings, and companion files with their pitch and teacher states."""
