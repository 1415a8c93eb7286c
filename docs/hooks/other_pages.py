"""What the site has beside the pages of docs/: files of the repository as pages, and pages made from the code.

Links between files of the repository lead to their pages: from README.md to `docs/sql.md`, from there to
`../examples/service.py`. A file that is linked to and is no page gets one, with its text.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import code_pages

ROOT = Path(__file__).parents[2]
TOP = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files at the top of the repository, and the pages that they are."""
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """A folder in the navigation stands for the pages in it."""
    config.nav = [_with_folders(entry) for entry in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are no files of docs/."""
    pages = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in TOP.items()}
    pages |= code_pages.pages()
    pages["decisions/index.md"] = _index(
        "Decisions", "What was decided, and why.", ROOT / "docs" / "decisions"
    )
    pages |= {_source_page(path): _source_text(path) for path in _sources()}
    pages["source/index.md"] = "# Sources\n\nFiles of the repository that these pages name.\n\n" + "".join(
        f"- [`{path}`]({posixpath.relpath(_source_page(path), 'source')})\n" for path in _sources()
    )
    for uri, text in pages.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Leads links of the repository to pages of the site."""
    uri = page.file.src_uri
    here = next((name for name, at in TOP.items() if at == uri), f"docs/{uri}")
    if uri.startswith("source/") or uri in code_pages.NAMES or uri == "decisions/index.md":
        return markdown

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match[1]))
        return f"]({posixpath.relpath(_page_of(target), posixpath.dirname(uri) or '.')}{match[2] or ''})"

    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(lead, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(lead, markdown[end:])])


def _with_folders(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _with_folders(what) for title, what in entry.items()}
    if isinstance(entry, list):
        return [_with_folders(one) for one in entry]
    if entry == "decisions/":
        found = sorted((ROOT / "docs" / "decisions").glob("*.md"))
        return ["decisions/index.md", *[f"decisions/{path.name}" for path in found]]
    if entry == "source/":
        return ["source/index.md", *map(_source_page, _sources())]
    return entry


def _page_of(path: str) -> str:
    """The page of a file or folder of the repository, both by their paths from the top."""
    if path in TOP:
        return TOP[path]
    if path.startswith("docs/"):
        page = path.removeprefix("docs/")
        return page if posixpath.splitext(page)[1] else f"{page}/index.md"
    return "source/index.md" if (ROOT / path).is_dir() else _source_page(path)


def _sources() -> list[str]:
    """Programs and files for the server: small files that the pages name."""
    names = {".py", ".html", ".toml", ".service", ""}
    return sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("examples", "packaging")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in names and "__pycache__" not in path.parts
    )


def _source_page(path: str) -> str:
    return f"source/{path}.md"


def _source_text(path: str) -> str:
    language = {".py": "python", ".html": "html", ".toml": "toml", ".service": "ini"}.get(
        Path(path).suffix, "text"
    )
    return f"# {path}\n\n````{language}\n{(ROOT / path).read_text(encoding='utf-8')}\n````\n"


def _index(title: str, about: str, folder: Path) -> str:
    lines = [
        f"- [{path.read_text(encoding='utf-8').splitlines()[0].removeprefix('# ')}]({path.name})"
        for path in sorted(folder.glob("*.md"))
    ]
    return f"# {title}\n\n{about}\n\n" + "\n".join(lines) + "\n"
