"""What has been published and may no longer change: golden samples by checksum, and the fields of each contract."""

import hashlib
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import inspect

from event_contracts.catalogue import CATALOGUE
from event_contracts.contract import Contract

GOLDEN = Path(__file__).with_name("golden")
CHECKSUMS = GOLDEN / "SHA256SUMS"
FIELDS = GOLDEN / "fields.json"

COMMAND = "python -m event_contracts publish"

_PLAIN: dict[str, inspect.Type] = {
    "boolean": inspect.BoolType(),
    "datetime": inspect.DateTimeType(tz=True),
    "integer": inspect.IntType(),
    "null": inspect.NoneType(),
    "text": inspect.StrType(),
    "uuid": inspect.UUIDType(),
}


class Field(msgspec.Struct, frozen=True):
    """A field of a contract, its type in words that do not depend on how Python spells it."""

    type: str
    required: bool

    def __str__(self) -> str:
        return f"{'required' if self.required else 'optional'} {self.type}"


Fields: TypeAlias = dict[str, dict[str, Field]]
"""The fields by event type and name."""

Checksums: TypeAlias = dict[str, str]
"""The SHA-256 of golden samples by file name."""


class Breach(Exception):
    """What has been published would change."""


def samples(contract: type[Contract]) -> list[Path]:
    """Return the golden samples of a contract, the oldest first.

    A sample is never edited: a contract that grew gets a further one, `<type>.2.json` and so on.
    """
    return [GOLDEN / f"{contract.type}.json", *sorted(GOLDEN.glob(f"{contract.type}.*.json"))]


def fields(contract: type[Contract]) -> dict[str, Field]:
    """Return the fields of a contract by name."""
    return {field.encode_name: Field(_text(field.type), field.required) for field in _inspected(contract).fields}


def current_fields() -> Fields:
    """Return the fields as the contracts state them now."""
    return {contract.type: fields(contract) for contract in CATALOGUE}


def recorded_fields() -> Fields:
    """Return the fields as they were published."""
    return msgspec.json.decode(FIELDS.read_bytes(), type=Fields)


def current_checksums() -> Checksums:
    """Return the checksums of the samples as they are now."""
    paths = [path for contract in CATALOGUE for path in samples(contract)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}


def recorded_checksums() -> Checksums:
    """Return the checksums of the samples as they were published."""
    lines = (line.split() for line in CHECKSUMS.read_text(encoding="utf-8").splitlines())
    return {name: checksum for checksum, name in lines}


def field_breaches(recorded: Fields, current: Fields) -> list[str]:
    """Say, in a sentence each, which published fields would no longer be what consumers rely on."""
    return [
        breach
        for event_type, published in recorded.items()
        for breach in _contract_breaches(event_type, published, current.get(event_type, {}))
    ]


def sample_breaches(recorded: Checksums, current: Checksums) -> list[str]:
    """Say, in a sentence each, which published samples are no longer what consumers were tested with."""
    return [
        f"{name} was published and has been edited or removed since. Consumers are held to the sample as it was: "
        "restore it, and show what is new in a further sample."
        for name, checksum in recorded.items()
        if current.get(name) != checksum
    ]


def publish() -> None:
    """Record the contracts, fields and samples that are new; raises Breach if anything recorded would change."""
    checksums, stated = current_checksums(), current_fields()
    breaches = field_breaches(recorded_fields(), stated) + sample_breaches(recorded_checksums(), checksums)
    if breaches:
        raise Breach("\n".join(breaches))
    FIELDS.write_bytes(msgspec.json.format(msgspec.json.encode(stated), indent=2) + b"\n")
    lines = [f"{checksum}  {name}\n" for name, checksum in sorted(checksums.items())]
    CHECKSUMS.write_text("".join(lines), encoding="utf-8", newline="\n")


def _contract_breaches(event_type: str, published: dict[str, Field], current: dict[str, Field]) -> list[str]:
    vanished = [f"{event_type}: the published field {name} has vanished." for name in published.keys() - current.keys()]
    changed = [
        f"{event_type}: the published field {name} was {published[name]} and is {current[name]}."
        for name in published.keys() & current.keys()
        if published[name] != current[name]
    ]
    demanding = [
        f"{event_type}: the new field {name} is required, so that messages on their way would be refused."
        for name in current.keys() - published.keys()
        if current[name].required
    ]
    return sorted(vanished + changed + demanding)


def _inspected(contract: type[Contract]) -> inspect.StructType:
    inspected = inspect.type_info(contract)
    if not isinstance(inspected, inspect.StructType):
        raise TypeError(f"{contract} is not a struct.")
    return inspected


def _text(kind: inspect.Type) -> str:
    match kind:
        case inspect.UnionType(types=types):
            return " | ".join(_text(member) for member in types)
        case inspect.LiteralType(values=values):
            return " | ".join(msgspec.json.encode(value).decode() for value in values)
        case inspect.VarTupleType(item_type=item):
            return f"list of ({_text(item)})"
        case inspect.DictType(key_type=inspect.StrType(), value_type=inspect.AnyType()):
            return "object"
        case _:
            return _plain_text(kind)


def _plain_text(kind: inspect.Type) -> str:
    for text, plain in _PLAIN.items():
        if plain == kind:
            return text
    raise TypeError(f"{kind} has no place in a contract, or has yet to be given a name here.")
