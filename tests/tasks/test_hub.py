"""What the catalogue asks of the hub is there, is read right, and what the hub refuses is told with what to do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from huggingface_hub import constants

from raystilts.errors import UserError
from raystilts.tasks import cache, github, hub, site
from raystilts.tasks.check import declared
from raystilts.tasks.github import GitHub
from raystilts.tasks.loading import fingerprint, load, read
from raystilts.tasks.online import is_cached
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.source import Source

from .hub_standin import LAYOUTS, Standin, serving

#: Tasks whose data is on the hub in a form that is read here.
ON_HUB = [
    name for name, task in all_tasks().items()
    if any(isinstance(source, Source) and source.path for _, source, _ in declared(task))
]  # fmt: skip


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """An empty stand-in that is asked instead of the hub, and an empty cache."""
    found = Standin()
    with serving(found) as address:
        monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv(github.MIRROR, f"{address}/github")
        online(monkeypatch, True)
        yield found


def online(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", not yes)


@pytest.mark.parametrize("name", ON_HUB)
def test_every_source_of_the_catalogue_asks_for_what_is_there(name: str, standin: Standin, data_dir: Path) -> None:
    task = get_task(name)
    assert {s.path for _, s, _ in declared(task) if isinstance(s, Source) and s.path} <= LAYOUTS.keys()
    standin.add(task, data_dir, rows=6)
    assert standin.missing == set()
    for split, source, language in declared(task):
        if not isinstance(source, Source) or source.path is None:
            continue
        whole = source.model_copy(update={"carve": None})  # a few rows may all be in the other part of a cut
        own = task.model_copy(update={split: whole, "train_language": language if split == "train" else "en"})
        rows = own.load_train(None) if split == "train" else own.load_split(split, language, None)
        assert rows.num_rows
        assert fingerprint(source, language, None).verified


def small(**changes: object) -> Source:
    source = Source(dataset="set", split="train", path="owner/set", name="de", revision="ab" * 20, rows=2)
    return source.model_copy(update=changes)


def put(standin: Standin, **changes: object) -> None:
    standin._put(small(**changes), "de", "train", pa.table({"text": ["a", "b"]}))


def test_a_commit_is_asked_once_and_then_without_a_network(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(standin)
    before = fingerprint(small(), "de", None)
    assert (before.rows, before.verified) == (2, False)
    assert load(small(), "de", None)["text"].to_pylist() == ["a", "b"]
    assert fingerprint(small(), "de", None).value == before.value
    assert fingerprint(small(), "de", None).verified
    first = len(standin.asked)
    assert first <= 6  # information, the card and one file, each with its head
    assert load(small(), "de", None).num_rows == 2
    assert len(standin.asked) == first
    online(monkeypatch, False)
    assert load(small(), "de", None).num_rows == 2
    with pytest.raises(UserError, match=r"owner/set at cdcd.*: not in the cache here and no network; run once"):
        load(small(revision="cd" * 20), "de", None)
    assert len(standin.asked) == first


def test_only_so_many_rows_and_files_are_read_as_are_wanted(standin: Standin) -> None:
    source = small(name=None, revision="refs/convert/parquet", hub_rows=5)
    files = standin.files.setdefault(("owner/set", "c0" * 20), {})
    for number in range(4):
        standin._put(source, "default", "train", pa.table({"text": [f"{number} {i}" for i in range(4)]}))
        files[f"default/train/{number:04}.parquet"] = files["default/train/0000.parquet"]
    assert load(source, "de", None).num_rows == 5
    assert sum(".parquet" in path and "resolve" in path for path in standin.asked) <= 4  # two files, each with its head
    whole = source.model_copy(update={"hub_rows": None})
    assert fingerprint(source, "de", None).value != fingerprint(whole, "de", None).value


@pytest.mark.parametrize(
    ("fault", "changes", "said"),
    [
        ("gated", {}, r"owner/set: access is restricted; accept the terms at .*/owner/set and log in with `hf"),
        ("", {"path": "owner/other"}, r"owner/other: no such data set on the hub; renamed, private or withdrawn"),
        ("", {"revision": "cd" * 20}, r"owner/set: no commit cdcd.*; the data set was rewritten, look for a new one"),
        ("", {"name": "dee"}, r"owner/set: no configuration 'dee' at ababab.; did you mean 'de'\?"),
        ("", {"split": "test"}, r"owner/set \(de\): no split 'test' at ababab.; splits there: train"),
        ("broken", {}, r"owner/set: the hub is out of order \(500\); try again later"),
    ],
    ids=["gated", "missing", "rewritten", "configuration", "split", "broken"],
)
def test_what_is_refused_is_told_with_what_to_do(
    standin: Standin, fault: str, changes: dict[str, object], said: str
) -> None:
    put(standin)
    standin.faults["*"] = fault
    with pytest.raises(UserError, match=said) as error:
        load(small(**changes), "de", None)
    assert len(str(error.value).splitlines()) == 1


def test_too_many_requests_are_waited_for(standin: Standin) -> None:
    put(standin)
    standin.faults["*"] = "busy"
    assert load(small(), "de", None).num_rows == 2
    assert standin.refused["owner/set"] == 2


def test_a_pin_that_came_later_leaves_keys_as_they_were(standin: Standin) -> None:
    put(standin)
    moving = fingerprint(small(revision="refs/convert/parquet"), "de", None).value
    assert fingerprint(small(), "de", None).value != moving
    assert fingerprint(small(keyed_as="refs/convert/parquet"), "de", None).value == moving
    assert load(small(keyed_as="refs/convert/parquet"), "de", None).num_rows == 2


def on_github(**changes: object) -> Source:
    """Three sentences in a file of columns, which holds two splits."""
    given = {"dataset": "set", "split": "test", "path": "github:owner/corpus", "revision": "ab" * 20,
             "hub_files": "data/{language} all.txt", "hub_where": {"part": "{split}"}, "hub_split": "TEST",
             "file_type": ".tsv"}  # fmt: skip
    return Source.model_validate(given | changes)


def test_files_of_a_repository_are_fetched_once_and_then_without_a_network(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "text\tpart\na\tTRAIN\nb\tTEST\nc\tTEST\n"
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": rows.encode()}
    before = fingerprint(on_github(), "de", None)
    assert not before.verified
    assert read(on_github(), "de", None).table["text"].to_pylist() == ["b", "c"]
    assert read(on_github(), "de", None).places == (1, 2)
    assert fingerprint(on_github(), "de", None).verified
    assert fingerprint(on_github(), "de", None).value == before.value
    assert load(on_github(split="train", hub_split="TRAIN"), "de", None)["text"].to_pylist() == ["a"]
    assert len(standin.asked) == 1
    online(monkeypatch, False)
    assert load(on_github(), "de", None).num_rows == 2
    with pytest.raises(UserError, match=r"github:owner/corpus at cdcd.*: not in the cache here and no network; run"):
        load(on_github(revision="cd" * 20), "de", None)
    assert len(standin.asked) == 1


@pytest.mark.parametrize(
    ("fault", "changes", "said"),
    [
        ("", {"path": "github:owner/gone"}, r"no file data/de all.txt \(language 'de'\); .*github.com/owner/gone\. Or"),
        ("", {"hub_files": "{iso3}/{split}.txt"}, r"owner/corpus at abab\w+: no file deu/TEST.txt \(language 'de'\);"),
        ("broken", {}, r"github:owner/corpus: GitHub is out of order \(500\); try again later"),
        ("", {"hub_where": {"prat": "{split}"}}, r"column 'prat' is missing, by which test is told; did you mean 'pa"),
        ("", {"hub_split": "DEV"}, r"github:owner/corpus@ababab\w/data/de all.txt: no rows for language 'de'"),
        ("", {"hub_converter": "sick_items"}, r"the conversion 'sick_items' fails .* on columns text, part"),
    ],
    ids=["repository", "file", "broken", "column", "split", "conversion"],
)
def test_what_github_refuses_is_told_with_what_to_do(
    standin: Standin, fault: str, changes: dict[str, object], said: str
) -> None:
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": b"text\tpart\na\tTEST\n"}
    standin.faults["*"] = fault
    with pytest.raises(UserError, match=said) as error:
        load(on_github(**changes), "de", None)
    assert len(str(error.value).splitlines()) == 1


def test_github_is_waited_for_as_told(standin: Standin) -> None:
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": b"text\tpart\na\tTEST\n"}
    standin.faults["*"] = "busy"
    assert load(on_github(), "de", None).num_rows == 1
    assert standin.refused["github:owner/corpus"] == 2


def test_files_on_github_are_part_of_what_rows_are(standin: Standin) -> None:
    sources = [on_github(hub_files=f"{folder}/{{language}}/{{split}}.tsv", hub_where={}) for folder in "ab"]
    values = {fingerprint(source, language, None).value for source in sources for language in ("de", "fr")}
    assert len(values) == 4
    on_hub = [small(hub_files=f"{folder}/{{split}}.tsv") for folder in "ab"]  # keys of results that are kept
    assert len({fingerprint(source, "de", None).value for source in on_hub}) == 1


@pytest.mark.parametrize("changes", [{"language_codes": {"de": ".."}}, {"hub_split": "../x"}])
def test_what_is_filled_in_stays_in_the_repository(standin: Standin, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"github:owner/corpus: '.*' leaves the repository; look at hub_split and la"):
        load(on_github(hub_files="{language}/{split}.tsv", **changes), "de", None)
    assert standin.asked == []


def test_a_stall_is_tried_again_and_ends(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr(site, "PAUSE_S", 0.01)
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": b"text\tpart\na\tTEST\n"}
    standin.faults["*"] = "stalled"
    assert load(on_github(), "de", None).num_rows == 1
    assert standin.refused["github:owner/corpus"] == 2
    monkeypatch.setattr(site, "PATIENCE_S", 0.1)
    standin.refused.clear()
    standin.files["github:owner/other", "ab" * 20] = {}
    with pytest.raises(UserError, match=r"owner/other: GitHub does not answer, asked again for 0 s; try later\. Or"):
        load(on_github(path="github:owner/other"), "de", None)
    assert standin.refused["github:owner/other"] == 1


def test_a_kept_file_is_for_all_and_whole(
    standin: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": b"text\tpart\na\tTEST\n"}
    before = os.umask(0o027)
    try:
        path = GitHub(on_github()).fetched("ab" * 20, "data/de all.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        cache.keep(path.with_name("other"), b"rows")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_is_no_file_of_rows_is_not_kept_or_its_place_is_told(standin: Standin) -> None:
    standin.files["github:owner/corpus", "ab" * 20] = {"data/de all.txt": b"[1, 2]\n"}
    standin.faults["*"] = "portal"
    with pytest.raises(UserError, match=r"owner/corpus/data/de all.txt: .* answers with a web page in place"):
        load(on_github(), "de", None)
    assert not GitHub(on_github()).is_kept("ab" * 20, "data/de all.txt")
    standin.faults.clear()
    kept = r"line 1: .* It is kept at /.*/data/de all.txt: if that is wrong, remove it and run again"
    with pytest.raises(UserError, match=kept):
        load(on_github(file_type=".jsonl"), "de", None)


def test_an_empty_mirror_is_none(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    address = os.environ[github.MIRROR]
    monkeypatch.setattr(github, "FILES", address)
    monkeypatch.setenv(github.MIRROR, "")
    standin.files["github:owner/corpus", "ab" * 20] = {"a.txt": b"a"}
    assert GitHub(on_github()).fetched("ab" * 20, "a.txt").read_bytes() == b"a"


def test_a_sentence_has_one_full_stop(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Path:
        raise OSError("The disk is gone.")

    monkeypatch.setattr(GitHub, "fetched", fails)
    with pytest.raises(UserError, match=r"cannot be read from GitHub: The disk is gone\. Or set data_dir"):
        load(on_github(), "de", None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hub_files": "{bogus}/a.txt"}, r"\{bogus\} in '\{bogus\}/a.txt' is no known field; hub_files may hold .*spl"),
        ({"hub_files": "{}/a.txt"}, r"\{\} in '\{\}/a.txt' is no known field; hub_files may hold \{language\}, \{iso3"),
        ({"hub_files": "{language!r}.txt"}, r"\{language!r\} in .* is no known field"),
        ({"hub_files": "{language.txt"}, r"'\{language.txt' has a brace too many or too few"),
        ({"hub_files": "/etc/{language}"}, r"'/etc/\{language\}' leaves the repository; give a path below its root"),
        ({"hub_files": "a/../../{language}"}, r"'a/../../\{language\}' leaves the repository"),
        ({"name": "{split}"}, r"\{split\} in '\{split\}' is no known field; name may hold \{language\}"),
        ({"hub_split": "{lang}"}, r"\{lang\} in '\{lang\}' is no known field; hub_split may hold"),
        ({"files": "a/{iso3}.tsv"}, r"\{iso3\} in .* is no known field; files may hold \{language\}, \{split\}"),
    ],
)  # fmt: skip
def test_names_hold_known_fields(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        on_github(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"revision": "main"}, "'main' moves; give the commit's hash"),
        ({"revision": "abcdef1"}, "revision 'abcdef1' is no commit; give all 40 digits of its hash"),
        ({"hub_files": "data/*.txt"}, r"hub_files must say where each file is, without \*; got 'data/\*.txt'"),
        ({"path": "github:corpus"}, "'github:corpus' names no repository; write github:OWNER/NAME"),
    ],
)
def test_an_address_on_github_is_whole(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        on_github(**changes)


def test_a_folder_holds_rows_in_the_tasks_own_form(tmp_path: Path) -> None:
    path = tmp_path / "set" / "de" / "test.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("text\nfolder\n")
    assert load(on_github(hub_converter="sick_items"), "de", tmp_path)["text"].to_pylist() == ["folder"]
    assert on_github().multilingual
    assert not on_github(hub_files="{split}.txt").multilingual


def test_data_that_is_not_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    with pytest.raises(UserError, match=r"set: not on the hub.*set/en/train.parquet"):
        load(Source(dataset="set", split="train"), "en", None)


def test_nothing_is_cached_of_what_is_not_there() -> None:
    source = Source(dataset="set", split="train", path="raystilts-tests/never-there", revision="a")
    assert not is_cached(source, "en")


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("{language}", "de", "de"),
        ("udpos.{language_name}", "de", "udpos.German"),
        ("{flores}", "zh", "zho_Hans"),
        ("tatoeba.{iso3}", "sw", "tatoeba.swh"),
        (None, "de", None),
    ],
)
def test_configuration_of_a_language(name: str | None, language: str, expected: str | None) -> None:
    source = Source(dataset="set", split="train", path="owner/set", name=name)
    assert source.published(language) == (expected, "train")


def test_own_codes_of_the_hub_win() -> None:
    source = Source(dataset="s", split="t", path="o/s", name="{iso3}-eng", language_codes={"zh": "cmn"})
    assert source.published("zh")[0] == "cmn-eng"
    assert source.published("de")[0] == "deu-eng"


def test_what_a_card_declares() -> None:
    card = """---
configs:
- config_name: a
  data_dir: data/a
- config_name: b
  data_files:
  - {split: test, path: ["b/test-*", "b/more/**/*.jsonl"]}
---
# A data set
"""
    assert hub.card_configs(card) == {
        "a": {"train": ["data/a/**"]},
        "b": {"test": ["b/test-*", "b/more/**/*.jsonl"]},
    }
    assert hub.card_configs("# none") == {}
    assert hub._matches("b/test-00000-of-00001.parquet", "b/test-*")
    assert not hub._matches("b/c/test-0", "b/test-*")
    assert hub._matches("b/more/x/y/z.jsonl", "b/more/**/*.jsonl")
    assert hub._matches("b/more/z.jsonl", "b/more/**/*.jsonl")
