"""The first step of a handler, without a Task of its own.

A Task per request costs more than the rest of the request. Instead a parked Task is *entered* (``_enter_task``, which
asyncio exports for other event loops), the hooks run and the handler's coroutine takes its first step in that Task's
Context, and the Task is left again. Most handlers finish there. One that suspends is handed to the parked Task
(``runner.py``), so ``current_task()`` is the same before and after its first await, and ``asyncio.timeout``,
``TaskGroup`` and cancellation work as in any Task.

One thing differs from a Task per request: ``current_task()`` of a request that is over may be that of a later one. It
names a request only while that is under way.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from framework.net._pure_step import NOT_STARTED, UNCLEAN, Suspended

__all__ = ["NOT_STARTED", "UNCLEAN", "Stepper", "Suspended"]

if TYPE_CHECKING or os.environ.get("FRAMEWORK_PURE") == "1":
    from framework.net._pure_step import Stepper
else:
    try:
        from framework.net._step import Stepper
    except ImportError:
        from framework.net._pure_step import Stepper
