"""The command line; `magscope --help` lists the commands."""

from magscope.cli.entry import main

__all__ = ["main"]
