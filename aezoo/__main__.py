"""`python -m aezoo` is the command `aezoo`."""

from aezoo.cli.main import run

if __name__ == "__main__":
    run()
