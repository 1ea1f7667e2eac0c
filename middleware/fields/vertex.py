"""/vertex_generate: Vertex AI's requests, whose parameters and instances become one of SGLang's /generate.
A table for `fields.edit`; SGLang 0.5.23 looks at neither, so that the tables of `fields.native` are walked inside them.
"""

import msgspec

from middleware.errors import bad_value
from middleware.fields import media, names
from middleware.fields.bound import Asking, Server
from middleware.fields.draft import Draft
from middleware.fields.each import IDS, TEXT, alike
from middleware.fields.kinds import DICT, Errors, FieldType, list_of, schema_error
from middleware.fields.native import EMBEDS, GENERATED, OWN_EMBEDDINGS, ids_given
from middleware.fields.native_sampling import SAMPLING_PARAMS, sampling_params
from middleware.fields.record import Table
from middleware.fields.told import Kind

_INSTANCES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_PARAMETERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAMES = frozenset(field.name for field in GENERATED) | {SAMPLING_PARAMS}


def _vertex(draft: Draft, server: Server) -> None:
    """SGLang looks at neither: `parameters` become fields of /generate, and the instances its prompts."""
    instances = _objects(draft) if draft.given("instances") else []
    if draft.given("parameters"):
        inner = _parameters(draft, server, len(instances))
        if inner.changed:
            draft.replace("parameters", inner.fields)
    settled = [_instance(draft, instance, instances[0]) for instance in instances]
    if settled != instances:
        draft.replace("instances", settled)


def _parameters(draft: Draft, server: Server, prompts: int) -> Draft:
    try:
        fields = _PARAMETERS.decode(draft.fields["parameters"])
    except msgspec.ValidationError:
        raise _wrong(draft, "parameters", DICT) from None
    inner = Draft(fields, draft.policy, draft.told)
    for name in (TEXT, IDS, EMBEDS, "image_data"):
        if name in fields:
            raise bad_value(f"{name} belongs into the instances.", "parameters")
    _walk(inner)
    alike(inner, prompts)
    names.adapters_known(inner, server)
    sampling_params(inner)
    return inner


def _walk(inner: Draft) -> None:
    for field in GENERATED:
        if field.name in inner.fields and field.converter is not None:
            field.converter(inner, field.name)
    for name in inner.fields.keys() - _NAMES:
        inner.drop(name)


def _objects(draft: Draft) -> list[dict[str, msgspec.Raw]]:
    try:
        instances = _INSTANCES.decode(draft.fields["instances"])
    except msgspec.ValidationError:
        raise _wrong(draft, "instances", list_of(DICT)) from None
    limit = draft.policy.max_completion_prompts
    if len(instances) > limit:
        raise bad_value(f"{len(instances)} instances are more than the {limit} that are allowed.", "instances")
    return instances


def _instance(draft: Draft, instance: dict[str, msgspec.Raw], first: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """Of one kind, all of them: SGLang goes by the first."""
    inner = Draft(dict(instance), draft.policy, draft.told)
    kind = next((name for name in (TEXT, IDS, EMBEDS) if name in first), None)
    if kind == EMBEDS:
        raise bad_value(f"{EMBEDS} is not supported: {OWN_EMBEDDINGS}.", "instances")
    if kind is not None and not isinstance(inner.value(kind), str if kind == TEXT else list):
        raise bad_value(f"Each of the instances must have {kind}.", "instances")
    if kind == IDS:
        ids_given(inner, IDS)
        if not all(isinstance(one, int) for one in inner.value(IDS)):
            raise bad_value(f"Each of the instances must have {IDS} of its own.", "instances")
    return {name: raw for name, raw in inner.fields.items() if name in (kind, "image_data")}


def _wrong(draft: Draft, name: str, kind: FieldType) -> Exception:
    errors: Errors = []
    kind.read(draft.value(name), f"body.{name}", errors)
    return schema_error(errors)


VERTEX = Table(
    "vertex", answer=Kind.NATIVE, prompts=True, repairs={"in_vertex": media.in_vertex, "vertex": Asking(_vertex)}
)
