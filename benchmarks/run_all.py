"""Run every benchmark, one after another: `python benchmarks/run_all.py [--quick]`.

What needs a network of its own, and with it root, is left out: `ci/run system` runs it.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEFT_OUT = ("gigevision.py", Path(__file__).name)


def main() -> None:
    """Stop at the first that fails, with its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="see that they work; no measurement")
    words = ["--quick"] if parser.parse_args().quick else []
    for path in sorted(HERE.glob("*.py")):
        if path.name in LEFT_OUT:
            continue
        print(f"-- benchmarks/{path.name} {' '.join(words)}".rstrip(), flush=True)
        begin = time.monotonic()
        code = subprocess.run([sys.executable, path, *words], check=False).returncode
        if code:
            sys.exit(f"benchmarks/{path.name} failed with exit code {code}")
        print(f"-- {time.monotonic() - begin:.1f} s\n", flush=True)


if __name__ == "__main__":
    main()
