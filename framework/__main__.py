"""``python -m framework``: the command line, where no script called ``framework`` is on the path."""

from framework.cli import main

main()
