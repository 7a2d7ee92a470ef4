"""scripts/setup says what is wrong with a machine, and takes nothing away that it did not make."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    (tmp_path / "framework").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(root / "scripts" / "setup", tmp_path / "scripts")
    shutil.copytree(root / "requirements", tmp_path / "requirements")
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    return tmp_path


def set_up(project: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "VENV")}
    return subprocess.run(
        ["sh", "scripts/setup", "run"],
        cwd=project,
        env=clean | env,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_python_that_is_too_old_is_named(project: Path) -> None:
    # Answers every question about its version as 3.10 would.
    python = fake_python(project, 'case "$2" in *print*) echo 3.10.4 ;; *) exit 1 ;; esac')
    result = set_up(project, PYTHON=python)
    assert result.returncode == 1
    assert f"{python}: version 3.10.4 is too old" in result.stderr
    assert "Python 3.11 or newer is needed" in result.stderr
    assert not (project / ".venv").exists()


def test_a_python_without_venv_is_told_what_to_install(project: Path) -> None:
    python = fake_python(project, 'case "$2" in *print*) echo 3.11.2 ;; *ensurepip*) exit 1 ;; esac')
    result = set_up(project, PYTHON=python)
    assert result.returncode == 1
    assert "python3-venv" in result.stderr


def test_a_missing_python_is_named(project: Path) -> None:
    result = set_up(project, PYTHON="no-such-python")
    assert result.returncode == 1
    assert "no-such-python: not found" in result.stderr


def test_a_folder_that_is_no_environment_is_left_alone(project: Path) -> None:
    precious = project / ".venv" / "precious"
    precious.parent.mkdir()
    precious.touch()
    result = set_up(project)
    assert result.returncode == 1
    assert "is no virtual environment" in result.stderr
    assert precious.exists()


def test_an_environment_is_not_given_up_for_a_python_that_will_not_do(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "pyvenv.cfg").touch()
    result = set_up(project, PYTHON="no-such-python")
    assert result.returncode == 1
    assert (project / ".venv" / "pyvenv.cfg").exists()
