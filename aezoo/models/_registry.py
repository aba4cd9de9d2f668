"""THE table: the one place where a name becomes a model.

A row names a function as a string, so listing the models imports none of them. Tests, the
README's table and the conformance suite are made from it. To add a model: one file in `models/`; one
row here, whose `kinds` say which examples it takes; one recipe; one page in docs/models/ with its line
in mkdocs.yml. CONTRIBUTING.md says how to check it.
"""

import dataclasses
import fnmatch
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aezoo.core.errors import OptionError
from aezoo.core.imports import import_named
from aezoo.core.options import KINDS, check_choice, nearest

if TYPE_CHECKING:  # a list of names costs no Keras
    from aezoo.nn.autoencoder import Autoencoder


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        name: what `build` is called with.
        builder: "module:function", or the function itself for a third party's model.
        paper: authors and year, with the arXiv or DOI number where there is one.
        kinds: of examples that the model takes, a set among "images", "rows" and "sequences".
        summary: one line.
    """

    name: str
    builder: Callable[..., Any] | str
    paper: str
    kinds: frozenset[str]
    summary: str

    def function(self) -> Callable[..., Any]:
        """Returns the build function, importing its module on first use."""
        if callable(self.builder):
            return self.builder
        module, _, name = self.builder.partition(":")
        function = getattr(import_named(module, given=self.builder), name, None)
        if not callable(function):
            raise OptionError(
                "there is no such build function",
                got=f"{self.builder!r}, model {self.name!r}",
                expected="'module:function', a function of that module",
                fix=f"check the function's name in {module}",
            )
        return function

    def options(self) -> dict[str, Any]:
        """Returns {option: default} of the build function, in its order."""
        parameters = inspect.signature(self.function()).parameters.values()
        for parameter in parameters:
            if parameter.default is parameter.empty:
                raise OptionError(
                    f"every option of a model has a name and a default; {parameter.name!r} does not",
                    got=f"{self.name}: {parameter}",
                    expected=f"{parameter.name}=<default>, no *args and no **kwargs",
                    fix="give the builder's option a default",
                )
        return {parameter.name: parameter.default for parameter in parameters}


_IMAGES, _ROWS, _SEQUENCES = (frozenset([kind]) for kind in KINDS)

_TABLE = {
    entry.name: entry
    for entry in (
        Entry(
            "dense",
            "aezoo.models.dense:build",
            "Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647",
            _IMAGES | _ROWS,
            "multilayer perceptron; standardises table rows inside the encoder",
        ),
        Entry(
            "conv",
            "aezoo.models.conv:build",
            "Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7",
            _IMAGES,
            "convolutions down to a fully-connected bottleneck, up-convolutions back",
        ),
        Entry(
            "denoising",
            "aezoo.models.denoising:build",
            "Vincent et al. 2008, doi:10.1145/1390156.1390294",
            _IMAGES | _ROWS,
            "conv or dense behind a corruption that acts in training only",
        ),
        Entry(
            "vae",
            "aezoo.models.vae:build",
            "Kingma & Welling 2014, arXiv:1312.6114",
            _IMAGES | _ROWS,
            "variational: latents drawn from a posterior that is kept near N(0, I)",
        ),
        Entry(
            "beta_vae",
            "aezoo.models.beta_vae:build",
            "Higgins et al. 2017, ICLR",
            _IMAGES | _ROWS,
            "variational with a weighted KL, or one held at a capacity that grows",
        ),
        Entry(
            "beta_tcvae",
            "aezoo.models.beta_tcvae:build",
            "Chen et al. 2018, arXiv:1802.04942",
            _IMAGES | _ROWS,
            "variational: the KL in three terms, of which the total correlation weighs more",
        ),
        Entry(
            "factor_vae",
            "aezoo.models.factor_vae:build",
            "Kim & Mnih 2018, arXiv:1802.05983",
            _IMAGES | _ROWS,
            "variational: a discriminator drives the latent axes apart",
        ),
        Entry(
            "info_vae",
            "aezoo.models.info_vae:build",
            "Zhao et al. 2019, arXiv:1706.02262",
            _IMAGES | _ROWS,
            "variational: all latents together near N(0, I), by a kernel discrepancy",
        ),
        Entry(
            "iwae",
            "aezoo.models.iwae:build",
            "Burda et al. 2016, arXiv:1509.00519",
            _IMAGES | _ROWS,
            "variational with a tighter bound from several latents per example",
        ),
        Entry(
            "vamp_vae",
            "aezoo.models.vamp_vae:build",
            "Tomczak & Welling 2018, arXiv:1705.07120",
            _IMAGES | _ROWS,
            "variational: the prior is a mixture of posteriors at learned inputs",
        ),
        Entry(
            "vq_vae",
            "aezoo.models.vq_vae:build",
            "van den Oord et al. 2017, arXiv:1711.00937",
            _IMAGES,
            "maps of codes: the nearest of a learned codebook at each position",
        ),
        Entry(
            "fsq",
            "aezoo.models.fsq:build",
            "Mentzer et al. 2024, arXiv:2309.15505",
            _IMAGES,
            "maps of codes: a few channels, each rounded to a few levels",
        ),
        Entry(
            "conditional_vae",
            "aezoo.models.conditional_vae:build",
            "Sohn et al. 2015, NeurIPS",
            _IMAGES,
            "variational; encoder and decoder are told the class of each image",
        ),
        Entry(
            "wae",
            "aezoo.models.wae:build",
            "Tolstikhin et al. 2018, arXiv:1711.01558",
            _IMAGES | _ROWS,
            "Wasserstein: a batch of latents is spread like N(0, I), by a kernel discrepancy",
        ),
        Entry(
            "rae",
            "aezoo.models.rae:build",
            "Ghosh et al. 2020, arXiv:1903.12436",
            _IMAGES | _ROWS,
            "regularised: small latents, a smooth decoder, a density fitted afterwards",
        ),
        Entry(
            "adversarial",
            "aezoo.models.adversarial:build",
            "Makhzani et al. 2016, arXiv:1511.05644",
            _IMAGES | _ROWS,
            "a discriminator tells latents from draws of N(0, I), until it cannot",
        ),
        Entry(
            "sparse",
            "aezoo.models.sparse:build",
            "Makhzani & Frey 2014, arXiv:1312.5663",
            _IMAGES | _ROWS,
            "many latents, few of them used: the k largest, or an L1 or KL penalty",
        ),
        Entry(
            "contractive",
            "aezoo.models.contractive:build",
            "Rifai et al. 2011, ICML",
            _IMAGES | _ROWS,
            "penalises the encoder's Jacobian, exactly or by Hutchinson's estimate",
        ),
        Entry(
            "masked",
            "aezoo.models.masked:build",
            "He et al. 2022, arXiv:2111.06377",
            _IMAGES,
            "transformer over patches, most of them masked in training",
        ),
        Entry(
            "conv1d",
            "aezoo.models.conv1d:build",
            "Masci et al. 2011, doi:10.1007/978-3-642-21735-7_7",
            _SEQUENCES,
            "convolutions over time down to a bottleneck, and back; raw units in and out",
        ),
        Entry(
            "lstm",
            "aezoo.models.lstm:build",
            "Srivastava et al. 2015, arXiv:1502.04681",
            _SEQUENCES,
            "one LSTM reads a sequence, another writes it in reverse",
        ),
    )
}


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the models that match a shell pattern, sorted.

    >>> list_models("*oi*")
    ['denoising']
    """
    return sorted(fnmatch.filter(_TABLE, pattern))


def describe(name: str) -> Entry:
    """Returns the table's row for a name, an `Entry`.

    Raises:
        OptionError: no model has this name; the nearest name is given.

    >>> sorted(describe("dense").kinds)
    ['images', 'rows']
    """
    if name not in _TABLE:
        raise OptionError(
            f"there is no model of this name{nearest(name, _TABLE)}",
            got=f"{name!r}",
            expected=f"one of {', '.join(list_models())}",
            fix="pick a name of the list, or add a model with aezoo.register",
        )
    return _TABLE[name]


def register(
    name: str,
    builder: Callable[..., Any] | str,
    *,
    paper: str = "",
    kinds: Iterable[str] = ("images",),
    summary: str = "",
) -> Callable[..., Any] | str:
    """Adds a model of your own to the table.

    Args:
        name: lower-case word, not taken yet.
        builder: function with keyword options and their defaults, which returns a compiled
            `aezoo.nn.autoencoder.Autoencoder`; or "module:function".
        paper, kinds, summary: as in `Entry`.

    Returns:
        `builder`, unchanged.

    Raises:
        OptionError: the name is taken or no lower-case word, the builder cannot be called, or there is no
            such kind of examples.
    """
    problem = None
    if name in _TABLE:
        problem = "a model of this name is registered already"
    elif not (isinstance(name, str) and name.isidentifier() and name == name.lower()):
        problem = "a model's name is one lower-case word"
    elif not callable(builder) and ":" not in str(builder):
        problem = "a builder is a function, or a string 'module:function'"
    if problem:
        raise OptionError(
            problem,
            got=f"name={name!r}, builder={builder!r}",
            expected=f"a new lower-case word (taken: {', '.join(list_models())}) and a function",
            fix=f"aezoo.register({str(name).lower() + '_2'!r}, build)",
        )
    kinds = frozenset([kinds] if isinstance(kinds, str) else kinds)
    for kind in kinds or [""]:
        check_choice("kinds", kind, KINDS)
    entry = Entry(name, builder, paper, kinds, summary)
    if callable(builder):
        entry.options()
    _TABLE[name] = entry
    return builder


def build(name: str, **options: Any) -> "Autoencoder":
    """Builds a model by name: a compiled `Autoencoder`, ready for `fit(images)`.

    Args:
        name: one of `list_models()`.
        **options: the options of that model's build function, `describe(name).options()`.

    Raises:
        OptionError: the name or an option is unknown (the nearest is given), or a value cannot be used.
    """
    entry = describe(name)
    known = entry.options()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise OptionError(
            f"the model {name!r} has no option {unknown[0]!r}{nearest(unknown[0], known)}",
            got=", ".join(f"{option}={options[option]!r}" for option in unknown),
            expected=f"options among {', '.join(known)}",
            fix=f"see `aezoo info {name}`",
        )
    model = entry.function()(**options)
    from aezoo.nn.autoencoder import Autoencoder  # here: the builder has imported Keras, if it is one

    if not isinstance(model, Autoencoder):
        raise OptionError(
            f"the builder of {name!r} does not return an Autoencoder",
            got=f"{type(model).__name__}",
            expected="aezoo.nn.autoencoder.Autoencoder(encoder, decoder), compiled",
            fix="end the build function with `return model`",
        )
    # What was built is written into every run and bundle, defaults included, so that a changed
    # default of a later version does not change what an old file means.
    model.model_name = name
    built = {**known, **options}
    model.model_options = _as_json(built)
    return model


def _as_json(value):
    """Returns a value as JSON gives it back: lists for tuples, at any depth."""
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, (tuple, list)) else value
