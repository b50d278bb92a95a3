"""Makes docs/tutorial.ipynb from docs/tutorial.md, so that the two say the same.

    python scripts/notebook.py              # the notebook, its cells not run yet
    python scripts/notebook.py --execute    # and run, with what the cells print (needs a data folder, and minutes)

A block `yaml` that begins with the name of a file as a comment becomes a cell that writes the file, a block `console` a
cell that runs its commands, a block `python` a cell of Python. What commands print (blocks `text`) is left out.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

DOCS = Path(__file__).parents[1] / "docs"
#: The first cell: Jupyter tells programs that they write to a terminal, where a run shows a live table.
PLAIN = "%env FORCE_COLOR="
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\S+\.yaml)\n")


def main() -> int:
    """Writes the notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--execute", action="store_true", help="run its cells and keep what they print")
    arguments = parser.parse_args()
    made = notebook((DOCS / "tutorial.md").read_text(encoding="utf-8"))
    if arguments.execute:
        with tempfile.TemporaryDirectory() as folder:
            execute(made, Path(folder))
    nbformat.write(made, DOCS / "tutorial.ipynb")
    return 0


def notebook(page: str) -> Any:
    """The notebook of a page, not run."""
    cells, end = [nbformat.v4.new_code_cell(PLAIN)], 0
    for match in _FENCE.finditer(page):
        cells += _text(page[end : match.start()])
        cells += _code(match[1], match[2])
        end = match.end()
    cells += _text(page[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    made: Any = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def _text(part: str) -> list[Any]:
    """A cell of text, if there is any; links of the page lead to the other pages as from this folder."""
    words = re.sub(r"<!--.*?-->\n?", "", part).strip()
    return [nbformat.v4.new_markdown_cell(words)] if words else []


def _code(info: str, text: str) -> list[Any]:
    if info == "console":
        text = "%%sh\n" + re.sub(r"^\$ ", "", text, flags=re.MULTILINE)
    elif info == "yaml" and (named := _FILE.match(text)):
        text = f"%%writefile {named[1]}\n{text[named.end() :]}"
    elif info != "python":
        return []
    return [nbformat.v4.new_code_cell(text.strip())]


def execute(made: Any, folder: Path) -> None:
    """Runs the cells in a folder; raises nbclient's CellExecutionError for one that fails."""
    from nbclient import NotebookClient

    # Commands of cells are found beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    NotebookClient(
        made, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


if __name__ == "__main__":
    sys.exit(main())
