"""The pages of docs/events, made from the contracts and their golden samples."""

import inspect
from pathlib import Path

import msgspec

from event_contracts.asyncapi import document
from event_contracts.catalogue import CATALOGUE, exchanges, meaning, paragraphs, summary
from event_contracts.contract import Audience, Contract, Kind
from event_contracts.published import Field, fields, samples

COMMAND = "python -m event_contracts docs"


def pages() -> dict[str, str]:
    """Return the text of every page by file name."""
    return {"catalogue.md": _catalogue(), "asyncapi.json": _json(document())}


def write(folder: Path) -> None:
    """Write every page to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def stale(folder: Path) -> list[str]:
    """Return the names of the pages in the folder that are missing or say something else than the contracts."""
    return [name for name, text in pages().items() if not _says(folder / name, text)]


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _catalogue() -> str:
    tables = [_exchange(exchange, contracts) for exchange, contracts in exchanges().items()]
    return "\n\n".join([_introduction(), *tables, *map(_event, CATALOGUE)]) + "\n"


def _introduction() -> str:
    origin = f"Generated from the contracts by `{COMMAND}`; edit those instead."
    document_link = "The same for tools: [asyncapi.json](asyncapi.json)."
    kind, audience = f"**Kind.** {_doc(Kind)}", f"**Audience.** {_doc(Audience)}"
    return "\n\n".join(["# Events", f"{origin} {document_link}", _doc(Contract), kind, audience])


def _exchange(exchange: str, contracts: list[type[Contract]]) -> str:
    rows = [
        f"| [`{contract.type}`](#{_anchor(contract)}) | {contract.kind} | {contract.audience} | {summary(contract)} |"
        for contract in contracts
    ]
    head = [
        f"## Exchange `{exchange}`",
        "",
        f"Published to by `{contracts[0].source}` alone.",
        "",
        "| type, routing key | kind | audience | when |",
        "|---|---|---|---|",
    ]
    return "\n".join(head + rows)


def _event(contract: type[Contract]) -> str:
    rows = [_row(name, field) for name, field in fields(contract).items()]
    table = "\n".join(["| field | type | |", "|---|---|---|", *rows])
    heading = f"## {contract.type}"
    label = f"`{contract.__name__}`, {contract.kind}, {contract.audience}, from `{contract.source}`"
    return "\n\n".join([heading, label, meaning(contract), table, *map(_sample, samples(contract))])


def _row(name: str, field: Field) -> str:
    kind = field.type.replace("|", "\\|")
    return f"| `{name}` | {kind} | {'required' if field.required else 'optional'} |"


def _sample(path: Path) -> str:
    return f"```json\n{path.read_text(encoding='utf-8').strip()}\n```"


def _anchor(contract: type[Contract]) -> str:
    """Return the anchor that Markdown renderers derive from the heading of the event."""
    return contract.type.replace(".", "")


def _doc(documented: type) -> str:
    return paragraphs(inspect.getdoc(documented) or "")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
