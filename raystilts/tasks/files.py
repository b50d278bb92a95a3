"""Files of rows as people have them: Parquet, CSV, TSV, JSON Lines, CoNLL, and folders that `datasets` saved."""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from raystilts.errors import UserError, first_line
from raystilts.tasks.tables import plain
from raystilts.tasks.tags import iob2, is_entity_tag


def read(path: Path, at: str | None = None, *, limit: int | None = None, file_type: str | None = None) -> pa.Table:
    """Reads one file, by the end of its name; of an archive (.tar, .tar.gz) its one file.

    Args:
        path: The file, or the folder that `save_to_disk` wrote.
        at: What to call it in a message; default its path.
        limit: How many rows at most.
        file_type: The end of a name by which it is read if its own says nothing.

    Raises:
        UserError: If it cannot be read: which file, and where in it.
    """
    at = str(path) if at is None else at
    reader = _reader(path) or _READERS.get(file_type or "")
    if reader is None:
        raise UserError(f"{at}: no file of rows; its name must end in one of {', '.join(SUFFIXES)}")
    try:
        table = reader(path, limit)
    except UserError as error:
        raise UserError(f"{at}: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{at}: not in UTF-8 (byte {error.start}); write it again in UTF-8") from None
    except (pa.ArrowException, OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        what = "Parquet file" if path.suffix == ".parquet" else "file"
        raise UserError(f"{at}: not a readable {what} ({first_line(error)}); copy it again") from error
    return plain(table if limit is None else table.slice(0, limit), at)


def _reader(path: Path) -> Callable[[Path, int | None], pa.Table] | None:
    if path.is_dir():
        return _saved
    name = path.name.removesuffix(".gz").removesuffix(".tar")
    return next((reader for suffix, reader in _READERS.items() if name.endswith(suffix)), None)


def _parquet(path: Path, limit: int | None) -> pa.Table:
    import pyarrow.parquet as pq  # here: names of tasks are asked for without it

    source: Any = path if path.suffix != ".gz" else pa.BufferReader(gzip.decompress(path.read_bytes()))
    if limit is None:
        return pq.read_table(source, partitioning=None)
    batches, rows, file = [], 0, pq.ParquetFile(source)
    for batch in file.iter_batches(batch_size=min(limit, 8192)):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= limit:
            break
    return pa.Table.from_batches(batches, schema=file.schema_arrow)


def _csv(path: Path, limit: int | None) -> pa.Table:
    """Every cell is text: a column of digits is no reason for numbers. A cell without anything is missing."""
    return _delimited(path, ",", quoted=True)


def _tsv(path: Path, limit: int | None) -> pa.Table:
    """As CSV; quotes are part of the text, as in most data sets that come this way."""
    return _delimited(path, "\t", quoted=False)


def _delimited(path: Path, delimiter: str, *, quoted: bool) -> pa.Table:
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted)
    with _opened(path) as lines:
        names = next(csv.open_csv(lines, parse_options=parse), None)
    if names is None:
        return pa.table({})
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names.schema.names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    with _opened(path) as lines:
        return csv.read_csv(lines, parse_options=parse, convert_options=convert)


def _jsonl(path: Path, limit: int | None) -> pa.Table:
    """One object a line. Types are JSON's own: a text that looks like a date stays a text."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"line {number}: no JSON ({error}); each line must be one object") from None
        if not isinstance(row, dict):
            raise UserError(f"line {number}: {line.strip()[:40]!r} is no object; each line must be one, with a row")
        rows.append(row)
        if limit is not None and len(rows) >= limit:
            break
    return _objects(rows)


def _json(path: Path, limit: int | None) -> pa.Table:
    """A list of objects, or one object a line."""
    with _opened(path) as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"["):
        return _jsonl(path, limit)
    rows = json.loads("".join(_lines(path)))
    odd = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
    if odd is not None:
        raise UserError(f"item {odd}: {str(rows[odd])[:40]!r} is no object; the list must hold one a row")
    return _objects(rows)


def _objects(rows: list[dict[str, Any]]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for row in rows for name in row}
    for row in rows:
        for name, values in columns.items():
            values.append(row.get(name))
    return pa.table({name: _column(name, values) for name, values in columns.items()})


def _column(name: str, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        kinds = {type(value).__name__: i for i, value in reversed(list(enumerate(values))) if value is not None}
        shown = ", ".join(f"{kind} (row {row})" for kind, row in sorted(kinds.items(), key=lambda item: item[1]))
        raise UserError(f"column {name!r} holds different types: {shown}; write one type in every row") from None
    except OverflowError:
        raise UserError(f"column {name!r} holds a whole number of more than 64 bits; write it as a text") from None


def _conll(path: Path, limit: int | None) -> pa.Table:
    """One word a line, its tag last, a blank line after each sentence; entity tags of any scheme become IOB2."""
    words, tags = [], []
    for sentence in _sentences(path):
        words.append([fields[0] for _, fields in sentence])
        tags.append([fields[-1] for _, fields in sentence])
    if all(is_entity_tag(tag) for own in tags for tag in own):
        tags = [iob2(own) for own in tags]
    kind = pa.list_(pa.string())
    return pa.table({"tokens": pa.array(words, kind), "tags": pa.array(tags, kind), "ner_tags": pa.array(tags, kind)})


def _conllu(path: Path, limit: int | None) -> pa.Table:
    """Universal Dependencies: words and their universal tags; ranges of words and empty nodes are no words."""
    words, tags = [], []
    for sentence in _sentences(path, numbered=True):
        kept = [(number, fields) for number, fields in sentence if not set("-.") & set(fields[0])]
        short = next((number for number, fields in kept if len(fields) < 4), None)
        if short is not None:
            raise UserError(f"line {short}: fewer than 4 columns; CoNLL-U has ten, separated by tabs")
        words.append([fields[1] for _, fields in kept])
        tags.append([fields[3] for _, fields in kept])
    kind = pa.list_(pa.string())
    named = {name: pa.array(tags, kind) for name in ("tags", "pos_tags", "upos")}
    return pa.table({"tokens": pa.array(words, kind), **named})


def _sentences(path: Path, *, numbered: bool = False) -> Iterator[list[tuple[int, list[str]]]]:
    """Lines in columns, with their numbers, sentence by sentence.

    Args:
        numbered: Whether lines begin with the number of a word, so that whatever begins with "#" is a comment.
    """
    blocks = list(_blocks(path))
    tags = set() if numbered else {_fields(line)[-1] for block in blocks for _, line in block[_head(block) :]}
    # A line that begins with a word other than "#": how columns are told apart, and how many there are.
    like = next((line for block in blocks for _, line in block if not line.startswith("#")), "")
    for block in blocks:
        head = _head(block)
        like = block[head][1] if head < len(block) else like
        sentence = []
        for place, (number, line) in enumerate(block):
            if line.startswith("#") and (numbered or _is_comment(line, like, tags if place < head else None)):
                continue
            fields = _fields(line)
            if len(fields) < 2:
                raise UserError(f"line {number}: {line[:40]!r} has one column; expected a word and its tag")
            sentence.append((number, fields))
        if sentence:
            yield sentence


def _fields(line: str) -> list[str]:
    # By spaces alone: a word may hold others, as French and German numbers do.
    return line.split("\t") if "\t" in line else [part for part in line.split(" ") if part]


def _head(block: list[tuple[int, str]]) -> int:
    """How many lines at a sentence's start begin with "#": comments stand there, and words may."""
    return next((place for place, (_, line) in enumerate(block) if not line.startswith("#")), len(block))


def _is_comment(line: str, like: str, tags: set[str] | None) -> bool:
    """Whether a line that begins with "#" is no word; MasakhaNER has sentences that begin with "# O".

    Args:
        line: The line.
        like: A line of the file that begins with a word.
        tags: Tags of the file's other lines, where the line stands at a sentence's start; None within a sentence.
    """
    fields = _fields(line)
    fits = ("\t" in line) == ("\t" in like) and len(fields) == len(_fields(like))
    if fields[0] != "#" and not line.startswith("# "):  # "#word": a rare entity may be its tag's only one
        return tags is not None and not (fits and (fields[-1] in tags or is_entity_tag(fields[-1])))
    return not fits or (tags is not None and fields[-1] not in tags)


def _blocks(path: Path) -> Iterator[list[tuple[int, str]]]:
    """Lines between blank ones, with their numbers."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(_lines(path), start=1):
        line = line.rstrip("\r\n")
        if line.strip() and not line.startswith("-DOCSTART-"):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _saved(path: Path, limit: int | None) -> pa.Table:
    """A folder that `Dataset.save_to_disk` wrote: Arrow streams, listed in state.json."""
    state = path / "state.json"
    if not state.is_file():
        raise UserError("a folder, but not one that `Dataset.save_to_disk` wrote (no state.json)")
    listed = json.loads(state.read_text(encoding="utf-8"))["_data_files"]
    tables = []
    for one in listed:
        with pa.memory_map(str(path / Path(one["filename"]).name)) as stream:
            tables.append(pa.ipc.open_stream(stream).read_all())
    return pa.concat_tables(tables)


def _lines(path: Path) -> Iterator[str]:
    with _opened(path) as file:
        for line in file:
            yield line.decode("utf-8-sig" if line.startswith(b"\xef\xbb\xbf") else "utf-8")


def _opened(path: Path) -> Any:
    if path.name.removesuffix(".gz").endswith(".tar"):
        return _archived(path)
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


@contextmanager
def _archived(path: Path) -> Iterator[Any]:
    """The one file of an archive; what a system adds under a hidden name (._data.jsonl) does not count."""
    with tarfile.open(path) as archive:
        found = [one for one in archive if one.isfile() and not Path(one.name).name.startswith(".")]
        if len(found) != 1:
            names = ", ".join(one.name for one in found[:3]) or "none"
            raise UserError(f"an archive must hold one file of rows, and it has {len(found)} ({names}); unpack it")
        yield archive.extractfile(found[0])


_READERS: dict[str, Callable[[Path, int | None], pa.Table]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".json": _json,
    ".conll": _conll,
    ".conllu": _conllu,
}

#: Ends of names that are understood, in the order in which a folder is looked through.
SUFFIXES = tuple(_READERS)
