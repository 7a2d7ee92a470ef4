"""``framework new``: where it writes, and where it does not. The integration tests show that the project works."""

from __future__ import annotations

import pytest

from .driver import Project


def test_the_files_of_a_project(project: Project) -> None:
    outcome = project.call("new", "My-Shop")
    assert outcome.code == 0, outcome.err
    folder = project.folder / "My-Shop"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [
        ".gitignore",
        "README.md",
        "my_shop/__init__.py",
        "my_shop/app.py",
        "pyproject.toml",
        "tests/test_app.py",
    ]
    assert outcome.out.splitlines() == [
        "made My-Shop. Next:",
        "",
        "  cd My-Shop",
        "  framework run my_shop",
        "  python -m pytest",
    ]
    assert 'name = "My-Shop"' in (folder / "pyproject.toml").read_text()


def test_no_word_of_the_template_is_left(project: Project) -> None:
    project.call("new", "shop")
    for file in (project.folder / "shop").rglob("*"):
        if file.is_file():
            assert "$package" not in file.read_text()
            assert "$project" not in file.read_text()


def test_a_path_is_made(project: Project) -> None:
    assert project.call("new", "some/where/shop").code == 0
    assert (project.folder / "some/where/shop/shop/app.py").exists()


def test_an_empty_folder_will_do(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project.folder / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert project.call("new", ".").code == 0
    assert (folder / "shop/app.py").exists()


def test_a_folder_that_is_not_empty_is_left_alone(project: Project) -> None:
    precious = project.write("shop/precious", "x")
    outcome = project.call("new", "shop")
    assert outcome.code == 2
    assert outcome.errors == ["shop is there already, and not empty; choose another name, or empty it"]
    assert [path.name for path in (project.folder / "shop").iterdir()] == [precious.name]


def test_a_file_is_left_alone(project: Project) -> None:
    project.write("shop", "x")
    assert project.call("new", "shop").errors == ["shop is there already, and is no folder"]


@pytest.mark.parametrize("name", ["1shop", "sh@p", "class", "größe", "/", " ", "-"])
def test_a_name_that_is_none_of_a_package_is_refused(project: Project, name: str) -> None:
    outcome = project.call("new", name)
    assert outcome.code == 2
    assert "cannot name a Python package" in outcome.errors[0]


@pytest.mark.parametrize("name", ["email", "framework", "tests"])
def test_a_name_that_would_hide_another_package_is_refused(project: Project, name: str) -> None:
    outcome = project.call("new", name)
    assert outcome.code == 2
    assert "would hide another of that name" in outcome.errors[0]
    assert not (project.folder / name).exists()


def test_a_place_that_cannot_be_written_is_said(project: Project) -> None:
    project.write("file", "x")
    outcome = project.call("new", "file/shop")
    assert outcome.code == 2
    assert outcome.errors[0].startswith("cannot write file/shop")
