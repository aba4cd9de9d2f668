"""Commands that hear Ctrl-C, however the tests themselves were started."""

import sys

# Where the tests run in the background, a shell has told them to ignore Ctrl-C, and every process that they
# start obeys. The process itself puts this right: a `preexec_fn` would fork this one, against JAX's warning.
_HEARS = (
    "import runpy, signal;"
    " signal.signal(signal.SIGINT, signal.default_int_handler);"
    " runpy.run_module('aezoo', run_name='__main__', alter_sys=True)"
)


def command_line(*arguments):
    """Returns the command line of `aezoo ARGUMENTS`."""
    return [sys.executable, "-c", _HEARS, *(str(argument) for argument in arguments)]
