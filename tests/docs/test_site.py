"""The documents as a site: it builds without a warning, every page is in it, and no link leads nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .pages import PAGES, ROOT, name

_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(#[\w-]+)?\)")
_CODE = re.compile(r"```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"\bdocs/[\w/]+\.(?:md|ipynb)\b")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="no zensical: pip install 'raystilts[docs]'")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    built = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=tmp_path,
                           capture_output=True, text=True, timeout=240, check=False)  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        address = page.relative_to(ROOT / "docs").with_suffix("")
        folder = address.parent if address.name == "index" else address
        assert (tmp_path / "site" / folder / "index.html").is_file(), page


def test_every_page_is_in_the_navigation() -> None:
    pages: list[str] = []

    def walk(entry: object) -> None:
        if isinstance(entry, str):
            pages.append(entry)
        for one in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            walk(one)

    walk(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    assert sorted(pages) == there


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    for target, anchor in _LINK.findall(text):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{name(page)}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor[1:] in anchors(path), f"{name(page)}: {target}{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and GitHub make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def test_pages_that_the_code_names_are_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a checkout of git")
    missing = []
    for file in listed:
        path = ROOT / file
        if path.suffix in {".py", ".yaml", ".yml", ".sh", ".toml", ".md"} and path.is_file():
            for page in _NAMED.findall(path.read_text(encoding="utf-8")):
                if not (ROOT / page).is_file():
                    missing.append(f"{file} names {page}")
    assert not missing


def test_the_reference_is_what_the_code_says() -> None:
    script = ROOT / "scripts" / "reference.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, timeout=240,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
