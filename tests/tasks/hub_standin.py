"""A local stand-in for the Hugging Face hub and for GitHub, whose data has the layout that public documents state.

`layouts.json` holds what data sets' own published metadata say: configurations, columns, names of classes, splits. The
rows are the data folder's, or the few that are written for these tests. A source that asks for what is not there finds
nothing, as on the hub. It answers what `huggingface_hub` asks: information on a data set or model, and files, and below
``/github`` the files of repositories; and it can be told to misbehave. It has never been compared with the hub itself.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from raystilts.tasks.check import declared
from raystilts.tasks.source import CONVERTED, Source
from raystilts.tasks.task import Task

from .true_rows import TRUE_ROWS

LAYOUTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "layouts.json").read_text(encoding="utf-8"))
COMMIT = "c0" * 20

#: Data sets whose pin is a commit of the hub's own conversion, and those that come as JSON Lines with a card.
CONVERSIONS = {
    "facebook/anli", "cambridgeltl/xcopa", "unimelb-nlp/wikiann", "masakhane/afrixnli", "allenai/social_i_qa",
    "allenai/cosmos_qa",
}  # fmt: skip
JSON_LINES = {"mteb/tatoeba-bitext-mining", "facebook/belebele", "mteb/amazon_massive_intent", "izhx/mewsli-x"}

#: What data sets call columns that folders call otherwise, and the names of their classes where those differ.
RENAMED = {
    "clue/clue": {"sentence1": "premise", "sentence2": "hypothesis"},
    "mteb/tatoeba-bitext-mining": {"sentence1": "source_sentence", "sentence2": "target_sentence"},
    "github:kkalouli/SICK-processing": {"entailment_label": "label"},
}
CLASSES = {
    "clue/clue": ("entailment", "neutral", "contradiction"),
    "github:kkalouli/SICK-processing": ("ENTAILMENT", "NEUTRAL", "CONTRADICTION"),
    "github:ir-nlp-csui/indonli": ("e", "n", "c"),
}


class Standin:
    """Data sets in memory: files by data set and commit, the faults that it shows, and what was asked of it."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.tables: dict[str, pa.Table] = {}
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        self.refused: Counter[str] = Counter()
        self.missing: set[tuple[str, str, str]] = set()
        self.hurry = threading.Event()  # set, it ends stalls

    def add(self, task: Task, data_dir: Path, rows: int = 25) -> None:
        """Puts a task's data there, as its data set's layout has it."""
        for part, source, language in declared(task):
            if not isinstance(source, Source) or source.path is None:
                continue
            source = source.of(language)
            config, splits = source.published(language)
            configs = LAYOUTS.get(str(source.path), {})
            for split, ours in zip(splits.split("+"), source.split.split("+"), strict=True):
                name = config or (next(iter(configs)) if len(configs) == 1 else "default")
                if name not in configs or (configs[name]["rows"] and split not in configs[name]["rows"]):
                    self.missing.add((str(source.path), name, split))
                    continue
                table = _rows(task, source, part, ours, language, data_dir, rows)
                if table is None:
                    continue
                table = published(table, configs[name]["features"], str(source.path), split)
                if source.converter == "tydiqa_items" or source.hub_where:  # all languages, or splits, in one file
                    key = "" if source.hub_where else split
                    earlier = self.tables.get(f"{source.path} {key}")
                    table = table if earlier is None else pa.concat_tables([earlier, table])
                    self.tables[f"{source.path} {key}"] = table
                self._put(source, name, split, table, language)

    def add_model(self, name: str, revision: str, folder: Path) -> None:
        """Puts a folder's files there as a model."""
        self.files[f"models/{name}", revision] = {path.name: path.read_bytes() for path in folder.iterdir()}

    def _put(self, source: Source, config: str, split: str, table: pa.Table, language: str = "en") -> None:
        commit = COMMIT if source.revision == CONVERTED else source.revision
        files = self.files.setdefault((str(source.path), commit), {})
        if source.hub_files is not None:
            path = source.filled(source.hub_files.replace("{split}", split), language)
            if path.endswith(".parquet"):
                files[path] = _parquet(table)
                return
            files[path] = _plain(table, path, '"' if source.converter == "quoted_cells" else "")
            return
        if source.path in JSON_LINES:
            path = f"{split}/{config}.jsonl.gz"
            files[path] = gzip.compress("".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode())
        elif source.revision == CONVERTED or source.path in CONVERSIONS:
            files[f"{config}/{split}/0000.parquet"] = _parquet(table)
            return
        else:
            path = f"{config}/{split}-00000-of-00001.parquet"
            files[path] = _parquet(table)
        card = yaml.safe_load(files.get("README.md", b"---\n{}\n").decode().split("---\n")[1])
        configs = {one["config_name"]: one for one in card.get("configs", [])}
        one = configs.setdefault(config, {"config_name": config, "data_files": []})
        pattern = path.replace("-00000-of-00001.parquet", "-*")
        one["data_files"] = [*[f for f in one["data_files"] if f["split"] != split], {"split": split, "path": pattern}]
        head = yaml.safe_dump({"configs": [configs[name] for name in configs]})
        files["README.md"] = f"---\n{head}---\n# A data set\n".encode()

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers for a path."""
        api, name, revision = _asked_for(path)
        self.asked.append(path)
        if not any(known == name for known, _ in self.files):
            return (404 if name.startswith("github:") else 401), b"{}", {"X-Error-Code": "RepoNotFound"}
        match self.faults.get(name, self.faults.get("*", "")):
            case "gated":
                return 403, b"{}", {"X-Error-Code": "GatedRepo"}
            case "busy" if self.refused[name] < 2:
                self.refused[name] += 1
                return 429, b"{}", {"RateLimit": '"api";r=0;t=0', "Retry-After": "0"}
            case "broken":
                return 500, b"{}", {}
            case "stalled" if self.refused[name] < 2:
                self.refused[name] += 1
                self.hurry.wait(20)
            case "portal":
                return 200, b"<html>log in</html>", {"Content-Type": "text/html; charset=utf-8"}
        if revision.startswith(CONVERTED):
            revision, rest = COMMIT, revision.removeprefix(CONVERTED).strip("/")
        else:
            revision, _, rest = revision.partition("/")
        files = self.files.get((name, revision))
        if files is None:
            return 404, b"{}", {"X-Error-Code": "RevisionNotFound"}
        if api == "tree":
            listed = [{"type": "file", "path": one, "size": len(files[one]), "oid": "0" * 40} for one in files]
            return 200, json.dumps(listed).encode(), {"Content-Type": "application/json"}
        if api:
            info = {"id": name, "sha": revision, "siblings": [{"rfilename": one} for one in files]}
            return 200, json.dumps(info).encode(), {"Content-Type": "application/json"}
        if rest not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": revision}
        tag = f'"{hashlib.sha256(files[rest]).hexdigest()}"'
        return 200, files[rest], {"X-Repo-Commit": revision, "ETag": tag}


def _asked_for(path: str) -> tuple[str, str, str]:
    """What is asked for ("" is a file), of what, and the revision with the path of a file behind it."""
    parts = urllib.parse.unquote(urllib.parse.urlsplit(path).path).strip("/").split("/")
    match parts:
        case ["api", kind, owner, name, what, *rest]:
            return what, f"{owner}/{name}" if kind == "datasets" else f"models/{owner}/{name}", "/".join(rest)
        case ["github", owner, name, *rest]:
            return "", f"github:{owner}/{name}", "/".join(rest)
        case ["datasets", owner, name, "resolve", *rest]:
            return "", f"{owner}/{name}", "/".join(rest)
        case [owner, name, "resolve", *rest]:
            return "", f"models/{owner}/{name}", "/".join(rest)
    return "", path, ""


@contextmanager
def serving(standin: Standin) -> Iterator[str]:
    """The address of a stand-in on this machine, while it is served."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            code, body, head = standin.answer(self.path)
            self.send_response(code)
            for key, value in {"Content-Length": str(len(body)), **head}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        standin.hurry.set()
        server.shutdown()
        server.server_close()


def _rows(
    task: Task, source: Source, part: str, split: str, language: str, data_dir: Path, rows: int
) -> pa.Table | None:
    """A few of our rows of a split, whichever split of the language is here; else those written for the tests."""
    for own in (language, "en"):  # of a language that is not here the English rows, whose columns are the same
        for name in (split, "validation", "test", "train", "dev_r1", "test_lay"):
            path = data_dir / source.dataset / own / f"{name}.parquet"
            if path.is_file():
                return pq.read_table(path, partitioning=None).slice(0, rows)
    examples = TRUE_ROWS.get(task.name, {})
    return examples.get(part, examples.get("train", examples.get("test")))


def published(table: pa.Table, features: dict[str, Any] | None, path: str, split: str) -> pa.Table:
    """Our rows in the columns and classes of the hub's layout, with its features in the metadata.

    Rows without features are the data set's own, written for these tests.
    """
    if features is None:
        return table
    rows = table.to_pylist()
    renamed = RENAMED.get(path, {})
    if names := CLASSES.get(path):
        ours = ("entailment", "neutral", "contradiction")
        rows = [row | {"label": names[_number(row["label"], ours)], "SemEval_set": split} for row in rows]
    columns = {
        name: pa.array([_value(kind, row.get(renamed.get(name, name))) for row in rows], _type(kind))
        for name, kind in features.items()
    }
    told = {"info": {"features": {name: _feature(kind) for name, kind in features.items()}}}
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(told)})


def _number(label: Any, names: tuple[str, ...]) -> int:
    return label if isinstance(label, int) else names.index(label)


def _type(kind: Any) -> pa.DataType:
    match kind:
        case str():
            return {"string": pa.string(), "bool": pa.bool_()}.get(kind) or pa.type_for_alias(kind)
        case {"class": _}:
            return pa.int64()
        case {"list": dict() as inner} if "class" not in inner:
            return pa.struct([(name, pa.list_(_type(one))) for name, one in inner.items()])
        case {"list": inner}:
            return pa.list_(_type(inner))
        case _:
            return pa.struct([(name, _type(one)) for name, one in kind.items()])


def _feature(kind: Any) -> Any:
    match kind:
        case str():
            return {"_type": "Value", "dtype": kind}
        case {"class": names}:
            return {"_type": "ClassLabel", "names": names}
        case {"list": dict() as inner} if "class" not in inner:
            return {name: {"_type": "List", "feature": _feature(one)} for name, one in inner.items()}
        case {"list": inner}:
            return {"_type": "List", "feature": _feature(inner)}
        case _:
            return {name: _feature(one) for name, one in kind.items()}


def _value(kind: Any, value: Any) -> Any:
    match kind:
        case "string":
            return "" if value is None else str(value)
        case "bool":
            return bool(value)
        case str():
            return 0 if value is None else float(value) if "float" in kind else int(value)
        case {"class": names}:
            return -1 if value is None else names.index(value) if value in names else int(value)
        case {"list": dict() as inner} if "class" not in inner:
            return {name: [_value(one, v) for v in (value or {}).get(name) or []] for name, one in inner.items()}
        case {"list": inner}:
            return [_value(inner, one) for one in value or []]
        case _:
            return {name: _value(one, (value or {}).get(name)) for name, one in kind.items()}


def _plain(table: pa.Table, path: str, quote: str) -> bytes:
    """JSON Lines, alone or in an archive, words with tags, or TSV, as the name says."""
    rows = table.to_pylist()
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.endswith(".jsonl"):
        return lines
    if path.endswith(".tar.gz"):
        sink, entry = io.BytesIO(), tarfile.TarInfo(path.removesuffix(".tar.gz"))
        entry.size = len(lines)
        with tarfile.open(fileobj=sink, mode="w:gz") as archive:
            archive.addfile(entry, io.BytesIO(lines))
        return sink.getvalue()
    if path.endswith(".conllu"):
        rest = "\t_" * 6
        words = [enumerate(zip(row["tokens"], row["pos_tags"], strict=True), start=1) for row in rows]
        return "\n".join("".join(f"{i}\t{w}\t_\t{t}{rest}\n" for i, (w, t) in one) for one in words).encode()
    if "tokens" in table.column_names:
        sentences = [zip(row["tokens"], row["ner_tags"], strict=True) for row in rows]
        return "\n".join("".join(f"{word} {tag}\n" for word, tag in one) for one in sentences).encode()
    cells = [table.column_names, *(row.values() for row in rows)]
    return "".join("\t".join(f"{quote}{cell}{quote}" for cell in line) + "\n" for line in cells).encode()


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())
