"""Files of a public repository on GitHub at a commit, for data that its authors publish there."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path
from typing import ClassVar

from raystilts.errors import UserError
from raystilts.tasks import cache
from raystilts.tasks.site import Site

#: Where GitHub hands out files as they are.
FILES = "https://raw.githubusercontent.com"

#: A mirror to ask instead.
MIRROR = "RAYSTILTS_GITHUB"


class GitHub(Site):
    """The repository of a source, see `Site`. Nobody lists what is there: the source names its files."""

    name: ClassVar[str] = "GitHub"

    @property
    def page(self) -> str:
        """See `Site`."""
        return f"https://github.com/{self.source.repository}"

    @property
    def description(self) -> str:
        """See `Site`."""
        return f"{self.source.path} ({self.source.hub_files}) at {self.source.revision}"

    def files(self, language: str, ask: bool = True) -> tuple[str, list[str]]:
        """See `Site`; raises UserError if what is filled in, such as a language's own code, leads elsewhere."""
        _, splits = self.source.published(language)
        named = [str(self.source.hub_files).replace("{split}", split) for split in splits.split("+")]
        found = list(dict.fromkeys(self.source.filled(name, language) for name in named))
        if outside := next((name for name in found if name.startswith("/") or ".." in re.split(r"[/\\]", name)), None):
            raise UserError(
                f"{self.source.path}: {outside!r} leaves the repository; look at hub_split and language_codes"
            )
        return self.source.revision, found

    def identity(self, language: str) -> list[str]:
        """See `Site`: nothing but the files says which data of a repository is meant."""
        return self.files(language)[1]

    def is_kept(self, commit: str, name: str) -> bool:
        """See `Site`."""
        return self._place(commit, name).is_file()

    def fetched(self, commit: str, name: str) -> Path:
        """See `Site`; raises UserError if a web page comes in place of the file, which is not kept."""
        path = self._place(commit, name)
        if path.is_file():
            return path
        from huggingface_hub import constants, get_session  # proxies, certificates and HF_HUB_OFFLINE as for the hub

        base = (os.environ.get(MIRROR) or FILES).rstrip("/")
        url = f"{base}/{self.source.repository}/{commit}/{urllib.parse.quote(name)}"
        response = get_session().get(url, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
        response.raise_for_status()
        if response.headers.get("Content-Type", "").startswith("text/html"):  # GitHub says text/plain, of .html too
            raise UserError(
                f"{self.source.repository}/{name}: {base} answers with a web page in place of the file; log in to the "
                "network, or set its proxy, and run again"
            )
        cache.keep(path, response.content)
        return path

    def _place(self, commit: str, name: str) -> Path:
        return cache.place("github", self.source.repository.replace("/", "--"), commit, name)
