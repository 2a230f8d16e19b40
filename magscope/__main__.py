"""`python -m magscope`: the command line."""

from magscope.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
