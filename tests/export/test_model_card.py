"""The model card: names that are Markdown or HTML stay names."""

import dataclasses

import pytest
from markdown_it import MarkdownIt

from aezoo.core.shown import one_line
from aezoo.export import model_card
from aezoo.runtime import manifest as contract

HOSTILE = [
    "x\n\n# heading\n\n| a | b |\n|---|---|\n| c | d |\n",
    "| `a` | b |\n| c",
    "[x](javascript:alert(1)) ![y](http://a.b/c.png) <http://a.b> http://a.b www.a.b",
    "</td><script>alert(1)</script> <img src=x onerror=alert(1)> &lt;",
    "``` ` `` *x* _y_ ~~z~~ \\| \\",
    "\x1b[31m\u202eabc\u2028def\u2066",
]


def card_of(bundle, name):
    manifest = contract.read_manifest(bundle)
    data = {"name": name, "train": 5, "content_hash": "0" * 64, "source": name, "shape": [16, 12, 1]}
    run = {"data": data, "epochs": 3, "seconds": 1.5, "settings": {name: name}, "model": name, "options": {}}
    metrics = {
        "test_examples": 5,
        "data": name,
        "mse": 0.1,
        "pca": {"components": 4, "mse": 0.2},
        "denoising": {"kind": name, "level": 0.3, "corrupted": {"mse": 0.5}},
    }
    artifacts = tuple(
        dataclasses.replace(row, float_layers=(name, "b"), budget=0.01) if row.part == "decoder" else row
        for row in manifest.artifacts
    )
    changes = {"model": name, "licence": name, "aezoo_version": name, "options": {name: name}}
    manifest = dataclasses.replace(manifest, artifacts=artifacts)
    for key, value in {**changes, "run": run, "metrics": metrics}.items():
        object.__setattr__(manifest, key, value)  # past every check of the reader
    return model_card.render(manifest)


def shape_of(text):
    """Returns what blocks a text of Markdown has, and all words in it that are no blocks."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(text)
    inner = [child for token in tokens for child in token.children or ()]
    return [token.type for token in tokens], {child.type for child in inner}, inner


def test_a_name_stays_a_name(exported):
    blocks, kinds, _ = shape_of(card_of(exported, "plain"))
    assert kinds == {"text", "code_inline", "softbreak"}
    for name in HOSTILE:
        text = card_of(exported, name)
        found, found_kinds, inner = shape_of(text)
        assert found == blocks, name
        assert found_kinds <= {*kinds, "text_special"}
        spans = [child.content.strip() for child in inner if child.type == "code_inline"]
        assert spans.count(one_line(name).strip()) == 4  # the data set twice, and the layer of two files
        assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("name", ["a\\", "`", "a|b"])
def test_a_name_of_one_sign(name, exported):
    assert shape_of(card_of(exported, name))[0] == shape_of(card_of(exported, "plain"))[0]
