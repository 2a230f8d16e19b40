"""Run every benchmark, one after another: `python benchmarks/run_all.py [--quick]`."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Stop at the first that fails, with its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that they work; no measurement")
    words = ["--quick"] if parser.parse_args().quick else []
    for path in sorted(HERE.glob("*.py")):
        if path.name == Path(__file__).name:
            continue
        print(f"-- benchmarks/{path.name} {' '.join(words)}".rstrip(), flush=True)
        begin = time.monotonic()
        code = subprocess.run([sys.executable, path, *words], check=False).returncode
        if code:
            sys.exit(f"benchmarks/{path.name} failed with exit code {code}")
        print(f"-- {time.monotonic() - begin:.1f} s\n", flush=True)


if __name__ == "__main__":
    main()
