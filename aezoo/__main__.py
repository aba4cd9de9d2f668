"""`python -m aezoo` is the command `aezoo`."""

import sys

from aezoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
