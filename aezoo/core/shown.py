"""What comes out of files and goes to a screen or into a page of text: shown, and never obeyed.

A name in a bundle, a folder or a table may hold escape sequences of a terminal, marks that turn the
direction of writing, line ends, markup of rich and of Markdown. Whoever shows it calls `one_line`, and
`console` for tables; the model card calls `markdown` and `code`.
"""

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what prints nothing costs no rich
    from rich.console import Console

LONGEST = 4096  # letters of a text that is shown: a path may have as many
# Control characters; format characters, which turn the direction of writing or show nothing; halves of
# surrogate pairs; ends of lines and paragraphs.
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = (
    "\u200c\u200d"  # of Persian and Indic words, and of emoji: they change how neighbours look, no more
)
# What begins markup within a line, a link to "www." or "http:" that stands bare included.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$!:@#]|(?<=www)\.", re.IGNORECASE)


def one_line(value: object, most: int = LONGEST) -> str:
    r"""Returns a value as a text of one line that a terminal shows letter by letter.

    Args:
        value: a text, or anything that has one.
        most: letters of it that are kept; of a longer one it says so.

    >>> one_line("a\x1b[31m\nb\u202e.png")
    'a\\x1b[31m\\nb\\u202e.png'
    >>> one_line("Größe 中 🙂 [/x]")
    'Größe 中 🙂 [/x]'
    >>> one_line("abcdef", most=4)
    'abcd... (6 letters)'
    """
    text = str(value)
    more = f"... ({len(text):,} letters)" if len(text) > most else ""
    text = text[:most]
    if not text.isprintable():
        text = "".join(_seen(letter) for letter in text)
    return text + more


def _seen(letter):
    hidden = unicodedata.category(letter) in _UNSEEN and letter not in _JOINERS
    return letter.encode("unicode_escape").decode("ascii") if hidden else letter


def markdown(value: object) -> str:
    r"""Returns a value as Markdown that renders as its text: no markup, no HTML, no link, no other cell.

    It is for the middle of a line, where no list and no heading begins.

    >>> print(markdown("a|b <b> [x](y) www.z 0.5"))
    a\|b \<b\> \[x\](y) www\.z 0.5
    """
    return _MARKDOWN.sub(r"\\\g<0>", one_line(value))


def code(value: object, *, cell: bool = False) -> str:
    r"""Returns a value as a code span of Markdown.

    Args:
        value: a text, or anything that has one.
        cell: whether it stands in a table, where a bar would end the cell even in code.

    >>> print(code("units=(8, 4)"), code("a`b"), code("a|b"), code("a|b", cell=True))
    `units=(8, 4)` ``a`b`` `a|b` `a\|b`
    """
    text = one_line(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if not text.strip() or text[0] in "` " or text[-1] in "` " else ""
    span = f"{fence}{room}{text}{room}{fence}"
    return span.replace("|", r"\|") if cell else span


def console(**options: Any) -> "Console":
    """Returns a `rich.console.Console` that takes texts for texts: no markup, no emoji codes, no highlights.

    Args:
        options: further ones of the class.
    """
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)
