"""Promises of the installation that `make run` and `make test` begin with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagegen.settings import PROJECT_ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose lock file lists nothing, so that installing it needs no network."""
    shutil.copytree(PROJECT_ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def bootstrap(project: Path, *, python: str = "", path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "scripts/bootstrap.sh", "requirements.txt"],
        cwd=project,
        env={"PATH": path or os.environ["PATH"], "PYTHON": python, "HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def interpreter(folder: Path, name: str, says: str) -> str:
    """Make a program that notes how it is called and, asked what it is, says `says`; return its path."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {name} $1 $2 >> {folder}/asked\n[ -n '{says}' ] && echo '{says}'\n")
    program.chmod(0o755)
    return str(program)


def test_an_installed_lock_is_installed_no_second_time_until_it_changes(project: Path) -> None:
    python = getattr(sys, "_base_executable", sys.executable)
    first, second = (bootstrap(project, python=python) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "Installing into .venv" in first.stderr
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (project / "requirements.txt").write_text("# nothing else\n")
    assert "Installing into .venv" in bootstrap(project).stderr


def test_a_missing_venv_module_is_told_in_one_sentence(project: Path) -> None:
    python = interpreter(project, "bare", "no-venv")
    result = bootstrap(project, python=python)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{python} lacks its venv module: install it (on Debian and Ubuntu: apt install")
    assert len(result.stderr.splitlines()) == 1
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("says", ["old", ""])
def test_a_python_that_is_too_old_or_does_not_run_is_told_in_one_sentence(project: Path, says: str) -> None:
    result = bootstrap(project, python=interpreter(project, "python2", says))
    assert result.returncode == 1
    assert result.stderr.startswith("Python 3.11 or newer is needed")
    assert len(result.stderr.splitlines()) == 1


def test_without_any_python_the_sentence_is_the_same(project: Path) -> None:
    tools = project / "tools"
    tools.mkdir()
    for name in ("sh", "cmp"):
        (tools / name).symlink_to(shutil.which(name) or name)
    assert bootstrap(project, path=str(tools)).stderr.startswith("Python 3.11 or newer is needed")


def test_a_newer_python_beside_an_old_one_is_found(project: Path) -> None:
    tools = project / "tools"
    tools.mkdir()
    interpreter(tools, "python3", "old")
    interpreter(tools, "python3.13", "good")
    bootstrap(project, path=f"{tools}:{os.environ['PATH']}")
    asked = (tools / "asked").read_text().splitlines()
    assert "python3.13 -m venv" in asked
    assert "python3 -m venv" not in asked


def test_a_failed_installation_is_tried_again(project: Path) -> None:
    python = getattr(sys, "_base_executable", sys.executable)
    (project / "requirements.txt").write_text("no-hash==1.0\n")
    for _ in range(2):
        result = bootstrap(project, python=python)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1].startswith("The installation failed")
