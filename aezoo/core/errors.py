"""The errors of aezoo, and the form that all their texts have.

Every text that a user can cause has four lines: what is wrong, what was given, what was
expected, and what to type instead. They are attributes of the error; tests read them.
"""

import warnings

from aezoo.core.shown import one_line


class AezooError(Exception):
    """Whatever aezoo refuses to do, and says so in four lines.

    >>> print(OptionError("the image is too small", got="4x4", expected="8x8 or more", fix="pad it"))
    the image is too small
      got:      4x4
      expected: 8x8 or more
      fix:      pad it

    Args:
        problem: what is wrong.
        got: what was given.
        expected: what would have been good.
        fix: what to type instead, in Python; where the command wants other words, it says them.

    Attributes:
        problem, got, expected, fix: the four lines, texts that a caller may read or replace.
    """

    def __init__(self, problem: str, *, got: object, expected: object, fix: object) -> None:
        super().__init__(problem)
        self.problem, self.got, self.expected, self.fix = problem, str(got), str(expected), str(fix)

    def __str__(self) -> str:
        return message(self.problem, got=self.got, expected=self.expected, fix=self.fix)

    @property
    def lines(self) -> dict[str, str]:
        """The four lines by their names, as the constructor takes them: for another process."""
        return {"problem": self.problem, "got": self.got, "expected": self.expected, "fix": self.fix}

    def __reduce__(self) -> tuple:  # keyword arguments are not in `args`, by which an exception is pickled
        return _again, (type(self), self.lines)


def _again(kind, lines):
    return kind(**lines)


class OptionError(AezooError, ValueError):
    """An option, a name or an argument that cannot be used."""


class DataError(AezooError, ValueError):
    """Examples, or a file of them, that break the contract of shape and range."""


class DataNote(UserWarning):
    """What a reader did of its own accord, or left out: a warning in Python, a line of a command."""


class RunError(AezooError):
    """A run folder that is not there, not finished, or in the way."""


class BundleError(AezooError):
    """A bundle that is incomplete, altered, or no bundle at all."""


class ExportError(AezooError):
    """A model that cannot be written in the format asked for."""


class ParityError(ExportError):
    """An exported file that does not compute what the Keras model computes."""


class BenchError(AezooError):
    """A bundle that is slower, or further from Keras, than a gate of `aezoo bench` allows."""


class MissingExtraError(AezooError, ImportError):
    """A package that an extra of aezoo would bring is not installed."""


def message(problem: str, *, got: object, expected: object, fix: object) -> str:
    """Returns the four lines of an error, for the few that are no `AezooError`.

    They are four whatever is named in them: a file's name may hold line ends and escape sequences.
    """
    problem, got, expected, fix = map(one_line, (problem, got, expected, fix))
    return f"{problem}\n  got:      {got}\n  expected: {expected}\n  fix:      {fix}"


class TrainingError(AezooError):
    """A training that went wrong: its loss is no longer a number."""


def note(text: str) -> None:
    """Tells whoever loads examples what was done with them of our own accord, as a `DataNote`."""
    warnings.warn(text, DataNote, stacklevel=3)
