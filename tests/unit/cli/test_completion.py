"""Shell completion."""

from __future__ import annotations

import pytest

from .driver import Project


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(project: Project, shell: str) -> None:
    outcome = project.call("completion", shell)
    assert outcome.code == 0
    assert f"_FRAMEWORK_COMPLETE={shell}_complete" in outcome.out


def test_another_shell_is_wrong_use(project: Project) -> None:
    outcome = project.call("completion", "tcsh")
    assert outcome.code == 2
    assert "tcsh" in outcome.errors[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("framework ro", ["plain,routes"]),
        ("framework run --max-h", ["plain,--max-head"]),
        ("framework run --tls-client-auth r", ["plain,required"]),
        ("framework completion f", ["plain,fish"]),
        ("framework check --skip b", ["plain,blocking"]),
    ],
)
def test_words_are_completed(project: Project, words: str, expected: list[str]) -> None:
    count = str(len(words.split()) - 1)
    environ: dict[str, str | None] = {
        "_FRAMEWORK_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": count,
    }
    assert project.call(environ=environ).out.splitlines() == expected
