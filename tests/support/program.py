"""A program that serves an app by several processes:  python -m tests.support.program '{"target": "shop:app", ...}'

Keys: target, settings (of ``[server]``), path (folders for ``sys.path``), reload (folders to watch), rules (of the
fleet, where a test cannot wait as long as production does).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from framework.app.workers import serve_many
from framework.errors import SetupError
from framework.net.brain import Rules
from framework.net.settings import ServerSettings


def main(order: dict[str, Any]) -> int:
    sys.path[:0] = order.get("path", [])
    settings = order.get("settings", {})
    try:
        return serve_many(
            order["target"],
            msgspec.convert(settings, ServerSettings),
            environ={},
            overrides={f"server.{name}": value for name, value in settings.items()},
            rules=msgspec.convert(order["rules"], Rules) if order.get("rules") else None,
            reload=[Path(folder) for folder in order.get("reload", [])],
        )
    except SetupError as error:
        sys.stderr.writelines(f"error: {problem}\n" for problem in error.problems)
        return 2


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
