"""Training: the loop, its tasks, losses and data. Runs from the checkout; not part of the installed library."""
