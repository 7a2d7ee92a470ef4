"""``python -m apps.users [settings.toml ...]``: serve the users app, by default on 127.0.0.1:8000."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.users.app import create_app
from framework import Runtime, ServerSettings, serve
from framework.errors import SetupError
from framework.net.loop import run

_EXAMPLE = """'{"email": "ada@example.com", "name": "Ada Lovelace", "password": "correct horse"}'"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, listen, serve until SIGINT or SIGTERM; exit code 2 and a line per problem if that cannot be."""
    parser = argparse.ArgumentParser("python -m apps.users", description="Serve the users app.")
    parser.add_argument("settings", nargs="*", type=Path, help="TOML files; later ones are stronger")
    files: list[Path] = parser.parse_args(arguments).settings
    try:
        run(_serve(create_app().build(files=files)))
    except SetupError as error:
        sys.stderr.writelines(f"error: {problem}\n" for problem in error.problems)
        raise SystemExit(2) from None


async def _serve(runtime: Runtime) -> None:
    def say(urls: Sequence[str]) -> None:
        for url in urls:
            pages = f"   (the API's pages: {url}/docs)" if url.startswith("http") else ""
            sys.stderr.write(f"serving {url}{pages}\n")
        sys.stderr.write(f"make a user:\n  {example(runtime.server_settings, urls[0])}\n")

    await serve(runtime, on_serving=say)


def example(settings: ServerSettings, url: str) -> str:
    """A line for a shell that makes a user on the server that listens at ``url``."""
    place = f"{url}/users"
    if settings.unix_socket is not None:
        place = f"--unix-socket {settings.unix_socket} http://localhost/users"
    return f"curl -i {place} -H 'content-type: application/json' -d {_EXAMPLE}"


if __name__ == "__main__":
    main()
