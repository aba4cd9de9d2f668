"""One interface: every method of every model answers alike in Keras and in its bundle, refusals included."""

import inspect

import numpy as np
import pytest
from small_models import CASES

import aezoo
from aezoo import runtime
from aezoo.core.errors import AezooError, OptionError
from aezoo.core.model import Model
from aezoo.export import ExportOptions, export_bundle
from aezoo.export.proof import parity
from aezoo.nn.autoencoder import Autoencoder, keras
from aezoo.testing import smooth_examples

COUNT = 40
FACTS = ("kind", "example_shape", "latent_shape", "input_name", "example_dtype", "model_name", "takes_labels")
FACTS += ("classes", "codebook_size", "likelihood", "feature_names", "ragged")
# What training alone knows, and what an export adds: the one of the two says None, or nothing.
OF_ONE_ALONE = (
    "corruption",
    "reports_sparsity",
    "held_parts",
    "score_name",
    "threshold",
    "false_positive_rate",
)

# method -> what it answers on (model, examples, latents, labels); the same arrays on both sides
CALLS = {
    "encode": lambda model, x, z, labels: model.encode(x, labels=labels, batch_size=7),
    "encode_batches": lambda model, x, z, labels: list(
        model.encode_batches([x, x[:3]] if labels is None else [(x, labels), (x[:3], labels[:3])])
    ),
    "decode": lambda model, x, z, labels: model.decode(z, labels=labels, batch_size=7),
    "reconstruct": lambda model, x, z, labels: model.reconstruct(x, labels=labels, batch_size=7),
    "reconstruction_error": lambda model, x, z, labels: model.reconstruction_error(
        x, labels=labels, batch_size=1
    ),
    "posterior": lambda model, x, z, labels: list(model.posterior(x, labels=labels, batch_size=7)),
    "code_indices": lambda model, x, z, labels: model.code_indices(x, labels=labels, batch_size=7),
    "corrupt": lambda model, x, z, labels: model.corrupt(x, seed=3),
    "score": lambda model, x, z, labels: model.score(x, labels=labels, batch_size=7),
    "score_series": lambda model, x, z, labels: _of_rows(
        model.score_series(x.reshape(-1, x.shape[-1]) if x.ndim == 3 else x[0], stride=3)
    ),
    "labels_in_turn": lambda model, x, z, labels: list(model.labels_in_turn(5).values()),
    "sample": lambda model, x, z, labels: model.sample(9, 7, labels=None if labels is None else labels[:9]),
    "sample_latents": lambda model, x, z, labels: model.sample_latents(9, 7),
    "interpolate": lambda model, x, z, labels: model.interpolate(
        *x[:2], 5, labels=_one(labels), batch_size=2
    ),
    "traverse": lambda model, x, z, labels: model.traverse(x[0], 1, [-1, 2], labels=_one(labels)),
}


def _one(labels):
    return None if labels is None else labels[0]


def _of_rows(found):
    return [found["reconstruction_error"], found["error_map"]]  # a threshold is one side's alone


def public_methods():
    return [name for name, _ in inspect.getmembers(Model, inspect.isfunction) if not name.startswith("_")]


class InThisProcess:
    """Proves as a `Prover` does, without the seconds that a fresh process takes."""

    def __init__(self, form):
        self.form = form

    def prove(self, folder):
        return parity.prove_format(folder, self.form)

    def stop(self):
        pass


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}"[:60])
def sides(request, tmp_path_factory):
    """(Keras model, bundle, examples, latents, labels or None) of a model."""
    name, options = request.param
    keras.utils.set_random_seed(0)
    model = aezoo.build(name, **options)
    examples = smooth_examples(model.example_shape, COUNT + 60)
    model.adapt(examples)
    if model.prior is None:
        model.fit_prior(examples, components=2)
    labels = model.labels_in_turn(len(examples)).get("labels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "Prover", InThisProcess)
        folder = tmp_path_factory.mktemp("contract") / "bundle"
        export_bundle(model, folder, ExportOptions(formats=["onnx"]), examples=examples, labels=labels)
    # Examples that lie on no border between two codes, where a rounding decides.
    with np.load(folder / "golden.npz") as golden:
        examples, latents = golden["examples"][:COUNT], golden["latents"][:COUNT]
        labels = None if labels is None else golden["labels"][:COUNT]
    return model, runtime.load(folder), examples, latents, labels


def answer(name, model, *given):
    """Returns what a method answers, a list of arrays, or the text of its refusal."""
    try:
        found = CALLS[name](model, *given)
    except OptionError as error:
        return str(error)
    return found if isinstance(found, list) else list(found.values()) if isinstance(found, dict) else [found]


def assert_near(ours, theirs, name):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype, name
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    elif name == "reconstruction_error":
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-7, err_msg=name)
    else:  # as the proof: 1e-5 of the range, of each column where columns have units of their own
        axes = tuple(range(theirs.ndim - 1))
        allowed = np.maximum(1e-5 * np.ptp(theirs), 1e-6 * np.abs(theirs).max(axis=axes))
        difference = np.abs(ours - theirs)
        assert (difference <= allowed).all(), (name, difference.max(), allowed)


def test_every_method_answers_alike(sides):
    model, bundle, *given = sides
    for name in CALLS:
        ours, theirs = answer(name, bundle, *given), answer(name, model, *given)
        if name == "score":
            assert "has no scorer" in theirs
            assert isinstance(ours, list)
        elif name == "corrupt" and model.corruption is not None:
            assert "corrupts nothing" in ours
            assert isinstance(theirs, list)
        elif isinstance(theirs, str):
            assert ours == theirs
        else:
            for pair in zip(ours, theirs, strict=True):
                assert_near(*pair, name)


def test_a_score_holds_what_the_other_methods_answer(sides):
    model, bundle, examples, _, labels = sides
    found = bundle.score(examples, labels=labels, batch_size=7)
    for name in ("reconstruct", "reconstruction_error", "encode"):
        output = {"reconstruct": "reconstructions", "encode": "latents"}.get(name, name)
        assert_near(found[output], CALLS[name](model, examples, None, labels), name)


def test_the_same_facts(sides):
    model, bundle, *_ = sides
    for name in FACTS:
        ours, theirs = getattr(bundle, name), getattr(model, name)
        assert ours == theirs, name
        assert isinstance(theirs, type(ours)), name  # Keras tracks dicts in a class of its own
    np.testing.assert_allclose(bundle.error_scale, model.error_scale, rtol=1e-6)
    assert (bundle.prior.kind, bundle.prior.latent_shape) == (model.prior.kind, model.prior.latent_shape)
    assert set(model.held_parts) | {"scorer"} == set(bundle.held_parts)


def test_codes_are_decoded_alike(sides):
    model, bundle, examples, latents, _ = sides
    if model.codebook_size is None:
        return
    codes = model.code_indices(examples)
    assert_near(bundle.decode(codes, batch_size=7), model.decode(codes), "decode")
    assert_near(bundle.decode(codes), bundle.decode(latents), "decode")


def test_the_same_refusals(sides):
    """Wrong examples, labels, batches, and what a model cannot do: one text, whoever is asked."""
    model, bundle, examples, latents, labels = sides
    if model.model_name not in (
        "conv",
        "dense",
        "conditional_vae",
        "vq_vae",
    ):  # a plain one, rows, and abilities
        return
    bundle = runtime.load(bundle.folder)
    bundle.held_parts = model.held_parts  # as one without a scorer
    other = np.zeros(len(examples), int) if labels is None else None
    far = examples * np.float32(np.nan)
    for name in public_methods():
        if name in ("labels_in_turn", "sample_latents", "encode_batches"):
            continue
        tries = [
            (examples, latents, labels),
            (examples, latents, other),
            (examples[..., :-1], latents, labels),
        ]
        tries += [(far, latents * np.nan, labels)]
        for given in tries:
            texts = []
            for side in (bundle, model):
                try:
                    texts.append(CALLS[name](side, *given) is None)
                except AezooError as error:
                    texts.append((type(error), str(error)))
            if name != "corrupt" or model.corruption is None:
                assert texts[0] == texts[1], name
    for size in (0, 2.5):
        texts = []
        for side in (bundle, model):
            with pytest.raises(OptionError) as error:
                side.encode(examples, labels=labels, batch_size=size)
            texts.append(str(error.value))
        assert texts[0] == texts[1]


# -- both classes ----------------------------------------------------------------------------------


def test_the_class_is_at_hand():
    assert aezoo.Autoencoder is Autoencoder
    assert issubclass(Autoencoder, Model)
    assert issubclass(runtime.Bundle, Model)


def test_every_public_method_is_called_here():
    assert set(public_methods()) == set(CALLS)


@pytest.mark.parametrize("name", public_methods())
def test_signatures(name):
    expected = inspect.signature(getattr(Model, name))
    for side in (Autoencoder, runtime.Bundle):
        assert inspect.signature(getattr(side, name)) == expected
    for option in ("labels", "batch_size", "threshold"):
        if option in expected.parameters:
            assert expected.parameters[option].kind is inspect.Parameter.KEYWORD_ONLY


def test_every_declared_attribute_is_compared_here():
    declared = {name for each in Model.__mro__ for name in vars(each).get("__annotations__", ())}
    declared |= {name for name, _ in inspect.getmembers(Model, lambda value: isinstance(value, property))}
    assert declared == {*FACTS, *OF_ONE_ALONE, "error_scale", "prior"}


def test_a_bundle_runs_no_more_than_a_batch(sides, monkeypatch):
    _, bundle, examples, _, labels = sides
    run, *names = bundle._open("encoder")
    sizes = []

    def counted(wanted, inputs):
        sizes.append(len(next(iter(inputs.values()))))
        return run(wanted, inputs)

    monkeypatch.setitem(bundle._sessions, "encoder", (counted, *names))
    bundle.encode(examples, labels=labels, batch_size=3)
    assert sum(sizes) == len(examples)
    assert max(sizes) == 3
