"""What is shown of names that nobody has checked."""

import json
import pathlib
import re

import pytest
from conftest import four_lines

from aezoo.cli import output
from aezoo.core import files, shown
from aezoo.core.errors import DataError
from aezoo.core.json_text import json_text
from aezoo.core.progress import progress_bar

# Markup of rich that closes nothing, a colour, a title of the window, a turn of direction, other line ends.
HOSTILE = "[/nope][red]x :smile: \x1b[31m\x1b]0;title\x07\x9b2J\r\n\u202egnp.\u2028\u2066\ud800"
SEEN = r"[/nope][red]x :smile: \x1b[31m\x1b]0;title\x07\x9b2J\r\n\u202egnp.\u2028\u2066\ud800"


def test_one_line():
    assert shown.one_line(HOSTILE) == SEEN
    plain = "Größe 3² ± 1…, 中文, עברית, می‌خواهم, 👩‍🔬, a\u00a0b\u3000c, \\d"
    assert shown.one_line(plain) == plain
    assert shown.one_line("a" * 10_000_000) == "a" * 4096 + "... (10,000,000 letters)"
    assert shown.one_line(None) == "None"


def test_an_error_has_four_lines_whatever_is_named_in_it():
    error = DataError(HOSTILE, got=f"{HOSTILE}\n  fix:      run this", expected=HOSTILE, fix=HOSTILE)
    four_lines(error, rf"got:      {SEEN}\n  fix:      run this")
    assert str(error).isprintable() is False  # its line ends
    assert all(line.isprintable() for line in str(error).split("\n"))
    assert error.got.startswith(HOSTILE)  # a caller reads what was given


@pytest.mark.parametrize("is_terminal", [True, False])
def test_tables_and_bars_take_names_for_names(is_terminal, monkeypatch, capsys):
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    output.print_table(HOSTILE, (HOSTILE, "b"), [(HOSTILE, 1)])
    output.say(HOSTILE)
    told = capsys.readouterr().out
    assert told.count(SEEN) == 4
    assert not {"\x07", "\x9b", "\r", "\u202e", "\u2028"} & set(told)
    assert "\x1b]" not in told
    with progress_bar("{task.fields[loss]}") as bar:
        bar.add_task("[/nope]", loss="[/nope]")
        assert "".join(map(str, bar.columns[0].render(bar.tasks[0]))) == "[/nope]"
        assert str(bar.columns[-1].render(bar.tasks[0])) == "[/nope]"


def test_json_is_what_every_reader_takes(tmp_path, capsys):
    found = {"a": [float("nan"), 1.5], "b": {"c": float("-inf")}, "name": "\x1b\u2028中"}
    right = {"a": [None, 1.5], "b": {"c": None}, "name": "\x1b\u2028中"}
    output.say_json(found)
    told = capsys.readouterr().out
    assert told.isascii()
    assert told[:-1].isprintable()
    files.write_json(tmp_path / "a.json", found)
    for text in (told, (tmp_path / "a.json").read_text("utf-8"), json_text(found)):
        assert json.loads(text, parse_constant=pytest.fail) == right


@pytest.mark.parametrize(
    "text",
    ["`", "``a`", "a`", " ", "a|b", "\\|", "x\n\n# y", "<b>", "[x](y)", "![x](javascript:y)", "", "a\\"],
)
@pytest.mark.parametrize("cell", [False, True])
def test_markdown_renders_as_the_text(text, cell):
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table"])
    for kind, words in (("code_inline", shown.code(text, cell=cell)), ("text", shown.markdown(text))):
        line = f"| {words} | end |\n|---|---|\n| {words} | end |\n" if cell else f"a {words} end\n"
        tokens = [token for token in reader.parse(line) if token.type == "inline"]
        assert [token.content for token in tokens][1::2] == (["end", "end"] if cell else [])
        for token in tokens[::2]:
            found = [child for child in token.children if child.type == kind]
            assert {child.type for child in token.children} <= {kind, "text"}
            told = "".join(child.content for child in found)
            assert shown.one_line(text).strip() in told
            if kind == "code_inline" and text:
                assert told.strip() == shown.one_line(text).strip()


def test_a_bare_address_is_no_link():
    from markdown_it import MarkdownIt

    assert shown.markdown("http://a.b www.a.b WWW.a.b a@b") == r"http\://a.b www\.a.b WWW\.a.b a\@b"
    html = MarkdownIt("commonmark").render(shown.markdown("<http://a.b> [x](http://a.b) &lt;"))
    assert html == "<p>&lt;http://a.b&gt; [x](http://a.b) &amp;lt;</p>\n"


def test_nothing_is_printed_past_it():
    """Commands print by `output.say`, or `message`, or as CSV and JSON: a bare print would show anything."""
    folder = pathlib.Path(output.__file__).parent
    found = {
        path.name: re.findall(r"(?<![\w.])print\(", path.read_text("utf-8")) for path in folder.glob("*.py")
    }
    assert {name: len(calls) for name, calls in found.items() if calls} == {
        "bench.py": 1,  # after Ctrl-C, on a line of its own
        "output.py": 2,
        "shell.py": 5,  # errors, by `message`, and notes
    }
    for room in (folder.parent, folder.parents[1] / "export"):
        for path in room.rglob("*.py"):
            if path.name != "shown.py":
                assert "rich.console import" not in path.read_text("utf-8"), path
