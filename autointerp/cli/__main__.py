"""``python -m autointerp.cli``: the console script where none is installed."""

from autointerp.cli.application import main

main()
