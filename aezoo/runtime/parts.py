"""What the parts of a model take and give: so far as the runtime counts on it, a manifest has to say so."""

from typing import TYPE_CHECKING

from aezoo.core.strict_json import Damaged

if TYPE_CHECKING:
    from aezoo.runtime.schema import Artifact, Manifest, Tensor

# (dtype, shape of one example): what is counted on of an input or output
_Kind = tuple[str, tuple[int, ...]]


def check_parts(manifest: "Manifest") -> None:
    """Raises Damaged where the inputs or outputs of an artifact are not those of its part."""
    for number, artifact in enumerate(manifest.artifacts):
        where = f"artifacts[{number}]"
        _check_batches(where, artifact)
        _check_end(f"{where}.inputs", artifact.inputs, _inputs(manifest, artifact.part))
        if artifact.part == "scorer":
            _check_scorer(f"{where}.outputs", manifest, artifact.outputs)
        else:
            more = artifact.part == "encoder"  # and what a model tells beside its latents
            _check_end(f"{where}.outputs", artifact.outputs, _outputs(manifest, artifact.part), more)


def _inputs(manifest: "Manifest", part: str) -> list[_Kind]:
    first: dict[str, _Kind] = {
        "decoder": ("float32", manifest.latent_shape),
        "code_decoder": ("int32", manifest.latent_shape[:-1]),
    }
    examples = (manifest.input_dtype, manifest.example_shape)
    return [first.get(part, examples), *([] if manifest.classes is None else [("int32", ())])]


def _outputs(manifest: "Manifest", part: str) -> list[_Kind]:
    if part != "encoder":
        return [("float32", manifest.example_shape)]
    wanted: list[_Kind] = [("float32", manifest.latent_shape)]
    if manifest.likelihood is not None:  # the logarithm of the posterior's variance
        wanted.append(("float32", manifest.latent_shape))
    elif manifest.codebook_size is not None:
        wanted.append(("int32", manifest.latent_shape[:-1]))
    return wanted


def _check_batches(where: str, artifact: "Artifact") -> None:
    batches = {tensor.shape[0] for tensor in (*artifact.inputs, *artifact.outputs)}
    if len(batches) > 1:
        raise Damaged(where, f"has the batches {', '.join(map(str, batches))}", "one batch")


def _check_end(where: str, tensors: tuple["Tensor", ...], wanted: list[_Kind], more: bool = False) -> None:
    if len(tensors) != len(wanted) and not (more and len(tensors) > len(wanted)):
        raise Damaged(where, f"has {len(tensors)} entries", f"{len(wanted)}, of this part")
    for number, (tensor, kind) in enumerate(zip(tensors, wanted, strict=False)):
        _check_kind(f"{where}[{number}]", tensor, kind)


def _check_kind(where: str, tensor: "Tensor", kind: _Kind) -> None:
    if (tensor.dtype, tensor.example_shape) != kind:
        raise Damaged(where, f"is {tensor.dtype} {tensor.example_shape}", f"{kind[0]} {kind[1]}")


def _check_scorer(where: str, manifest: "Manifest", tensors: tuple["Tensor", ...]) -> None:
    """A scorer's outputs are known by their names."""
    wanted: dict[str, _Kind] = {
        "reconstruction_error": ("float32", ()),
        "p_value": ("float32", ()),
        "is_anomaly": ("bool", ()),
    }
    if manifest.calibration is not None:
        wanted[manifest.calibration.score] = ("float32", ())
    rows = {tensor.name: tensor for tensor in tensors}
    for name, kind in wanted.items():
        if name not in rows:
            raise Damaged(where, f"has no {name}", f"{', '.join(wanted)} among them")
        _check_kind(where, rows[name], kind)
