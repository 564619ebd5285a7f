"""The documentation as a site, and the README's figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts import write_results

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = re.compile(
    r"""(?:<script[^>]*\bsrc|<link[^>]*rel="?(?:stylesheet|preload)"?[^>]*\bhref)="?(https?:)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return folder


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 12
    for page in pages:
        assert FOREIGN.findall(page.read_text(encoding="utf-8")) == []


def test_the_reference_has_the_public_names_with_their_types(site):
    page = (site / "library.html").read_text(encoding="utf-8")
    for name in (
        "load",
        "Model",
        "Result",
        "Session",
        "Polyp",
        "Settings",
        "Outputs",
        "run_file",
        "InputError",
    ):
        assert re.search(rf'id="rtpolyp\.[\w.]*\b{name}"', page), name


def test_the_results_page_is_as_its_reports_are():
    remedy = "run python scripts/write_results.py"
    assert write_results.PAGE.read_text(encoding="utf-8") == write_results.page(), remedy
    readme = write_results.README.read_text(encoding="utf-8")
    assert readme == write_results.with_table(readme), remedy
    assert write_results.readme_table() in readme


def test_the_readme_is_short():
    readme = write_results.README.read_text(encoding="utf-8")
    assert len(readme.split()) <= 1200
    assert len(write_results.readme_table().splitlines()) <= 10  # a head, a rule, eight rows


def test_the_readmes_links_lead_somewhere():
    readme = write_results.README.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", readme)
    assert targets
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_the_citation_names_this_version():
    import rtpolyp

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == rtpolyp.__version__
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_hooks_are_the_linters_of_ci():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in hooks:
        assert " ".join(hook["entry"].split()[:2]).removesuffix(" --fix").split()[0] in ci
    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "mypy", "lint-imports"}
