"""Data sets of the Hugging Face hub: which of their files hold a split, by the pinned commit's list and card."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import yaml

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks import cache
from raystilts.tasks.site import Site
from raystilts.tasks.source import CONVERTED

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a data set at one commit.

    Attributes:
        commit: The commit, whatever name it was asked by.
        names: Paths of all its files.
        configs: What its card says each configuration's splits are: patterns of paths, by configuration and split.
    """

    commit: str
    names: tuple[str, ...]
    configs: dict[str, dict[str, list[str]]]


class Hub(Site):
    """The data set of a source, see `Site`. What a commit holds is asked once and kept."""

    name: ClassVar[str] = "the hub"

    @property
    def page(self) -> str:
        """See `Site`."""
        return f"https://huggingface.co/datasets/{self.source.path}"

    @property
    def description(self) -> str:
        """See `Site`."""
        return f"hub {self.source.path} ({self.source.name or 'default'}) at {self.source.revision}"

    def files(self, language: str, ask: bool = True) -> tuple[str, list[str]] | None:
        """See `Site`; raises UserError if the data set has no such configuration or split."""
        listing = self._listing() if ask else self._kept()
        if listing is None:
            return None
        config, splits = self.source.published(language)
        found: list[str] = []
        for split in splits.split("+"):
            patterns = self._patterns(language, config, split, listing)
            matching = [name for name in listing.names if any(_matches(name, pattern) for pattern in patterns)]
            if not matching:
                where = f"{self.source.path}{f' ({config})' if config else ''}"
                raise UserError(
                    f"{where}: no split {split!r} at {listing.commit[:7]}; {_what_there_is(config, listing)}. The "
                    "source is out of date, or its `name` or `hub_split` is wrong"
                )
            found += sorted(matching)
        return listing.commit, found

    def is_kept(self, commit: str, name: str) -> bool:
        """See `Site`."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(str(self.source.path), name, revision=commit, repo_type="dataset")
        return isinstance(found, str)

    def fetched(self, commit: str, name: str) -> Path:
        """See `Site`."""
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(str(self.source.path), name, repo_type="dataset", revision=commit))

    def _listing(self) -> Listing:
        """What the data set holds at its revision: kept from an earlier run, else asked of the hub."""
        found = self._kept()
        if found is None:
            found = self._ask()
            text = json.dumps({"commit": found.commit, "names": found.names, "configs": found.configs})
            cache.keep(self._place(), text.encode())
        source = self.source
        if _COMMIT.fullmatch(source.revision) and found.commit != source.revision:
            raise UserError(f"{source.path}: asked for commit {source.revision} and got {found.commit}; a pin is a pin")
        return found

    def _kept(self) -> Listing | None:
        path = self._place()
        try:
            return _parsed(str(path), path.stat().st_mtime_ns)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _place(self) -> Path:
        name = f"{self.source.path}@{self.source.revision}".replace("/", "--")
        return cache.place(f"{name}.json")

    def _ask(self) -> Listing:
        """Asks the hub for the data set's files and card: two requests, or one where it has no card."""
        from huggingface_hub import HfApi

        info = HfApi().dataset_info(str(self.source.path), revision=self.source.revision)
        listed = tuple(one.rfilename for one in info.siblings or ())
        configs = {}
        if self.source.revision != CONVERTED and "README.md" in listed:
            card = self.fetched(str(info.sha), "README.md").read_text(encoding="utf-8", errors="replace")
            configs = card_configs(card)
        return Listing(str(info.sha), listed, configs)

    def _patterns(self, language: str, config: str | None, split: str, listing: Listing) -> list[str]:
        """Where the files of a split are: as the source says, by the card, or as the hub lays Parquet files out."""
        source = self.source
        if source.hub_files is not None:
            return [source.filled(source.hub_files.replace("{split}", split), language)]
        if source.revision != CONVERTED and listing.configs:
            name = config or ("default" if "default" in listing.configs else next(iter(listing.configs)))
            if name not in listing.configs:
                hint = did_you_mean(name, listing.configs)
                raise UserError(f"{source.path}: no configuration {name!r} at {listing.commit[:7]}; {hint}")
            return listing.configs[name].get(split, [])
        folder = config or "default"
        return [f"{folder}/{split}/*.parquet", f"{folder}/*{split}.parquet", f"{folder}/{split}-*.parquet"]


@lru_cache(maxsize=256)
def _parsed(path: str, modified: int) -> Listing:
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    return Listing(found["commit"], tuple(found["names"]), found["configs"])


def card_configs(card: str) -> dict[str, dict[str, list[str]]]:
    """Patterns of the files of each configuration and split, as the head of a data set's card declares them."""
    parts = re.split(r"^---\s*$", card, maxsplit=2, flags=re.MULTILINE)
    try:
        head = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    except yaml.YAMLError:
        return {}
    declared = head.get("configs") if isinstance(head, dict) else None
    found: dict[str, dict[str, list[str]]] = {}
    for one in declared or ():
        base = f"{one['data_dir'].strip('/')}/" if one.get("data_dir") else ""
        splits = found.setdefault(str(one.get("config_name", "default")), {})
        entries = one.get("data_files") or [{"split": "train", "path": "**"}]
        for entry in entries if isinstance(entries, list) else [entries]:
            entry = entry if isinstance(entry, dict) else {"split": "train", "path": entry}
            paths = entry.get("path", [])
            paths = paths if isinstance(paths, list) else [paths]
            splits.setdefault(str(entry.get("split", "train")), []).extend(base + path for path in paths)
    return found


def _what_there_is(config: str | None, listing: Listing) -> str:
    if config in listing.configs:
        return f"splits there: {', '.join(listing.configs[config])}"
    folders = sorted({name.split("/")[0] for name in listing.names if "/" in name})
    return did_you_mean(config or "default", folders)


def _matches(name: str, pattern: str) -> bool:
    """Whether a path matches a pattern in which * stays within a folder, and ** does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    kinds = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(kinds.get(part, re.escape(part)) for part in parts), name) is not None
