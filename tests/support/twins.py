"""Which twin of a compiled module a new interpreter gets."""

from __future__ import annotations

import os
import subprocess
import sys

__all__ = ["twin_of"]


def twin_of(leaves: str, code: str = "", **env: str) -> str:
    """``TWIN`` of the module ``leaves`` in a new interpreter, after running ``code``; ``env`` is added to its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "FRAMEWORK_PURE"}
    door = f"from {leaves} import TWIN\nprint(TWIN)"
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{door}"],
        env=inherited | env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
