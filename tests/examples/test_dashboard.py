"""The notebook runs from top to bottom, and its results are shown as tables."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "dashboard.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_dashboard_runs_and_shows_its_results(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = [cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"]
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pages = [output["data"]["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    printed = "".join(output["text"] for output in outputs if output["output_type"] == "stream")

    assert not any(kept), "outputs are not committed"
    assert printed.split() == ["1000", "1000", "1000", "True"]
    assert any("kalamdb-result" in page and "1,000 rows" in page for page in pages)
    assert sum("<table" in page for page in pages) >= 3
