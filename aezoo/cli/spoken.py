"""Fixes in the command's words: the library says `overwrite=True`, the command says `--overwrite`."""

import argparse
import ast
import re
import shlex

_VALUE = r"\([^()]*\)|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\"|[^\s,;:()]+(?:,[^\s,;:()]+)*"
_SETTING = re.compile(rf"(?<![\w.'\"-])(?P<name>[a-z]\w*)=(?P<value>{_VALUE})")
_TYPED = re.compile(rf"(?<![\w.'\"-])(?P<word>--[a-z][\w-]*)=(?P<value>{_VALUE})")
_LEFT_OUT = re.compile(r"\bleave (?P<out>out )?(?P<name>[a-z]\w*)\b")


def in_words_of(parser: argparse.ArgumentParser, fix: str) -> str:
    """Returns a fix of the library in the words of a command.

    `name=value` becomes `--name value` where the command has such an option, and "leave name out" becomes
    "leave --name out". An option is known by its dest, so that `precisions=` may be `--precision`. Arguments
    of a Python call, as in numpy.savez(path, labels=labels), are left as they are.

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--overwrite", action="store_true")
    >>> _ = parser.add_argument("--image-shape", metavar="HxWxC")
    >>> in_words_of(parser, "pass overwrite=True, or numpy.save(path, overwrite=True)")
    'pass --overwrite, or numpy.save(path, overwrite=True)'
    >>> in_words_of(parser, "pass image_shape=(28, 28, 1), or leave image_shape out")
    'pass --image-shape 28x28x1, or leave --image-shape out'
    >>> in_words_of(parser, "pass --image-shape='28x28x1'")
    'pass --image-shape 28x28x1'
    """
    # argparse offers no other way to ask which options there are.
    actions = [action for action in parser._actions if action.option_strings]
    options = {action.dest: action for action in reversed(actions)}  # --labels before --no-labels
    words = {word: action for action in actions for word in action.option_strings}

    def setting(match):
        before = fix[: match.start()]
        action = options.get(match["name"])
        if action is None or before.count("(") > before.count(")"):
            return match[0]
        return _typed(action, match["value"], words)

    def typed(match):
        action = words.get(match["word"])
        return match[0] if action is None else _typed(action, match["value"], words)

    def left_out(match):
        action = options.get(match["name"])
        return match[0] if action is None else f"leave {match['out'] or ''}{action.option_strings[0]}"

    return _LEFT_OUT.sub(left_out, _SETTING.sub(setting, _TYPED.sub(typed, fix)))


def _column_names(value):
    """Returns names of columns as `parsing.names` takes them, one with a comma in double quotes."""
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    if isinstance(found, str):  # one column: --labels takes the text as it is
        return found
    if not all(isinstance(name, str) for name in found):  # --labels takes numbers of classes, too
        return None
    return ",".join('"' + name.replace('"', '""') + '"' if {",", '"'} & set(name) else name for name in found)


def _typed(action, value, words):
    """Returns an option with its value as it is typed in a shell."""
    word = action.option_strings[0]
    negated = f"--no-{word.removeprefix('--')}"
    if value == "False" and negated in words:
        return negated
    if action.nargs == 0:
        return word if value == "True" else f"no {word}"
    names = _column_names(value) if "COLUMN" in str(action.metavar) else None
    if names is not None:
        text = shlex.quote(names)
    else:
        parts = [part.strip().strip("'\"") for part in value.strip("()[]").split(",")]
        text = shlex.quote(("x" if "x" in str(action.metavar) else ",").join(part for part in parts if part))
    return f"{word}={text}" if text.startswith("-") else f"{word} {text}"
