"""`python -m repro`."""

from __future__ import annotations

import sys

from repro.commands import main

if __name__ == "__main__":
    sys.exit(main())
