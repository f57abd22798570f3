"""`python -m repro`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from repro.commands import main

        code = main()
    except KeyboardInterrupt:  # while the command itself was still being imported: nothing has begun
        print("Interrupted.\nexit code 130", file=sys.stderr)
        code = 130
    sys.exit(code)
