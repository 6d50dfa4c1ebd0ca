"""The words of the studio: gathered from the source, merged into each language's catalogue, compiled.

`make messages` runs all three steps and says what is left to translate. Run twice, the second run changes nothing:
catalogues hold no dates of runs and no line numbers. A new language begins as an empty
`imagegen/translations/<code>/LC_MESSAGES/messages.po` and a line in `imagegen.web.language.LANGUAGES`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import yaml
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
TRANSLATIONS = ROOT / "imagegen" / "translations"
SOURCES = ("imagegen", "templates")
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None}


def labels(
    file: IO[bytes], keywords: Mapping[str, Any], comment_tags: Collection[str], options: Mapping[str, str]
) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield what people read in a data file, as Babel's extractors do; `fields` names the entries that are read."""
    fields = options["fields"].split()
    root = yaml.compose(file.read().decode("utf-8"), Loader=yaml.SafeLoader)
    for line, text in _texts(root, fields):
        yield line, "N_", text, []


def _texts(node: yaml.Node | None, fields: Collection[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _texts(item, fields)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in fields and isinstance(value, yaml.ScalarNode):
                yield value.start_mark.line + 1, value.value
            else:
                yield from _texts(value, fields)


def gather() -> Catalog:
    """Return a catalogue of all messages in the source, untranslated."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    template = Catalog(project="Imagegen Studio", fuzzy=False)
    found = extract_from_dir(ROOT, methods, options, KEYWORDS, directory_filter=_is_source)
    for path, _line, message, comments, context in found:
        template.add(message, locations=[(path, None)], auto_comments=comments, context=context)
    return template


def _is_source(path: Any) -> bool:
    parts = Path(path).relative_to(ROOT).parts
    return parts[0] in SOURCES and not parts[-1].startswith(("_", "."))


def catalogues() -> dict[str, Path]:
    """Return the files of translations by language."""
    return {path.parts[-3]: path for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"))}


def read(path: Path) -> Catalog:
    """Return the catalogue in a file."""
    language = path.parts[-3]
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as the text of its file."""
    text = BytesIO()
    write_po(text, catalogue, width=110, sort_by_file=True, ignore_obsolete=True, include_lineno=False)
    return text.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as the program reads it."""
    data = BytesIO()
    write_mo(data, catalogue)
    return data.getvalue()


def untranslated(catalogue: Catalog) -> list[Message]:
    """Return the messages that lack a translation or whose translation nobody has looked at."""
    return [message for message in catalogue if message.id and (message.fuzzy or not _complete(message))]


def _complete(message: Message) -> bool:
    forms = message.string if isinstance(message.string, tuple) else (message.string,)
    return all(forms)


def update(path: Path, template: Catalog) -> Path:
    """Bring one language's file and its compiled form up to date with the source; return `path`."""
    catalogue = read(path)
    catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
    path.write_bytes(written(catalogue))
    path.with_suffix(".mo").write_bytes(compiled(catalogue))
    return path


def main() -> int:
    """Bring all catalogues up to date; return 1 while something is left to translate."""
    template = gather()
    left = 0
    for language, path in catalogues().items():
        catalogue = read(update(path, template))
        missing = untranslated(catalogue)
        left += len(missing)
        sys.stdout.write(f"{language}: {len(catalogue)} messages, {len(missing)} without a translation\n")
        sys.stdout.writelines(f"  {message.id}\n" for message in missing)
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
