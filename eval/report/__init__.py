"""A run as one page to read, compare and listen: `python -m eval.report FOLDER`."""
