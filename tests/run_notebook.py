"""`python -m run_notebook FILE FOLDER`: run the cells of a notebook as a kernel in the folder would."""

import os
import sys

import nbformat
from IPython.core.interactiveshell import InteractiveShell


class Shell(InteractiveShell):
    """Displays pictures and sound as kernels do, unlike IPython in a terminal."""

    def enable_gui(self, gui=None):
        """Open no windows."""


if __name__ == "__main__":
    _, file, folder = sys.argv
    notebook = nbformat.read(file, as_version=4)
    os.chdir(folder)
    shell = Shell.instance()
    shell.enable_matplotlib("inline")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            shell.run_cell(cell.source).raise_error()
