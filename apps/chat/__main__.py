"""``python -m apps.chat [settings.toml ...]``: serve the chat, by default on 127.0.0.1:8000 with ``chat.db`` beside."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.chat.app import create_app
from framework import Runtime, serve
from framework.errors import SetupError
from framework.net.loop import run
from framework.plugins.chat.settings import ChatSettings

__all__ = ["build", "kept_secret", "main"]

SECRET_FILE = Path("chat.secret")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, listen, serve until SIGINT or SIGTERM; exit code 2 and a line per problem if that cannot be."""
    parser = argparse.ArgumentParser("python -m apps.chat", description="Serve the chat.")
    parser.add_argument("settings", nargs="*", type=Path, help="TOML files; later ones are stronger")
    files: list[Path] = parser.parse_args(arguments).settings
    try:
        run(_serve(build(files)))
    except SetupError as error:
        sys.stderr.writelines(f"error: {problem}\n" for problem in error.problems)
        raise SystemExit(2) from None


def build(files: Sequence[Path]) -> Runtime:
    """The chat of those settings. Where they have no secret, one is made and kept in the working directory: guests stay
    who they are when the chat is started again.

    Raises:
        SetupError: settings that are wrong, or a file that cannot be written.
    """
    app = create_app()
    runtime = app.build(files=files)
    settings = runtime.settings.sections["chat"]
    if not isinstance(settings, ChatSettings) or settings.secrets:
        return runtime
    return app.build(files=files, overrides={"chat.secrets": [kept_secret(SECRET_FILE)]})


def kept_secret(path: Path) -> str:
    """The secret in a file that only its owner may read; made when there is none.

    Raises:
        SetupError: the file cannot be read or written, or is too short for a secret.
    """
    try:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            secret = path.read_text("ascii").strip()
        else:
            secret = secrets.token_urlsafe(48)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(secret)
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot keep the chat's secret in {path}: {error}") from error
    if len(secret) < 32:
        raise SetupError(f"{path} holds no secret of 32 characters; remove it, and a new one is made")
    return secret


async def _serve(runtime: Runtime) -> None:
    def say(urls: Sequence[str]) -> None:
        for url in urls:
            sys.stderr.write(f"the chat is at {url}/\n" if url.startswith("http") else f"serving {url}\n")
        sys.stderr.write("open it in two windows, or: framework chat connect " + urls[0] + "\n")

    await serve(runtime, on_serving=say)


if __name__ == "__main__":
    main()
