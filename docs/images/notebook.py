"""Make ``notebook.png``: the table that ``autoxla.explain()`` shows in a notebook.

``python docs/images/notebook.py`` from a checkout, in an environment with autoxla, TensorFlow, nbclient and
ipykernel; chromium takes the picture. The cells are those of docs/notebooks.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

IMAGES = Path(__file__).parent
SIZE = "800,550"
#: How Jupyter shows tables, as far as it matters here.
STYLE = """
body { margin: 12px; font: 13px sans-serif; background: white }
table { border-collapse: collapse; font-size: 12px }
td, th { padding: 4px 8px }
tr:nth-child(even) { background: #f5f5f5 }
"""


def make_table(folder: Path) -> str:
    """Run the notebook of the page in ``folder``; return the table as HTML."""
    page = (IMAGES.parent / "notebooks.md").read_text(encoding="utf-8")
    cells = [*re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2], "autoxla.explain()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    file = folder / "train.ipynb"
    nbformat.write(notebook, file)
    # What JupyterLab tells its kernel.
    own = {"JPY_SESSION_NAME": str(file), "HOME": str(folder)}
    NotebookClient(notebook, kernel_name="python3").execute(cwd=str(folder), env={**os.environ, **own})
    (shown,) = [each for each in notebook.cells[-1].outputs if each.output_type == "execute_result"]
    return str(shown.data["text/html"])


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = folder / "page.html"
        page.write_text(f"<meta charset=utf-8><style>{STYLE}</style>{make_table(folder)}", encoding="utf-8")
        picture = f"--screenshot={IMAGES / 'notebook.png'}"
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        subprocess.run([*command, f"--window-size={SIZE}", picture, page.as_uri()], check=True)


if __name__ == "__main__":
    main()
