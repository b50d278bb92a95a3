"""`raystilts share`: to a folder, and to a server that speaks the part of the hub's API by which files are uploaded."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from report.pages import write_everything

from raystilts import cli


class Hub(BaseHTTPRequestHandler):
    """Takes a data set in one commit, as public documents and the client say."""

    seen: ClassVar[list[tuple[str, Any]]] = []
    private: ClassVar[bool] = True

    def log_message(self, *given: Any) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        self.seen.append((self.path, lines))
        home = f"http://{self.headers['Host']}/datasets/anna/results"
        if self.path.startswith("/api/repos/create"):
            answer: dict[str, Any] = {"url": home, "name": "anna/results", "id": "1"}
        elif "/preupload/" in self.path:
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in lines[0]["files"]]
            answer = {"files": files}
        else:
            answer = {"commitUrl": f"{home}/commit/{'0' * 40}", "commitOid": "0" * 40, "success": True}
        self.answer(answer)

    def do_GET(self) -> None:
        self.answer({"id": "anna/results", "private": self.private, "sha": "0" * 40, "tags": [], "siblings": []})

    def answer(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The address, and what has been asked."""
    Hub.seen, Hub.private = [], True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Hub.seen
    server.shutdown()


def raystilts(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from raystilts.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], env=os.environ | environment, capture_output=True,
                          text=True, check=False)  # fmt: skip


def test_to_the_hub_in_one_commit(tmp_path: Path, hub: tuple[str, list[tuple[str, Any]]]) -> None:
    address, seen = hub
    results = write_everything(tmp_path / "results")
    done = raystilts("share", str(results), "--to", "anna/results", HF_ENDPOINT=address, HF_HUB_OFFLINE="0",
                     HF_TOKEN="hf_x", HF_HOME=str(tmp_path / "home"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    [(_, [made])] = [one for one in seen if one[0] == "/api/repos/create"]
    assert made["type"] == "dataset"
    assert made.get("private", made.get("visibility") == "private"), "in the words of several versions of the client"
    [(_, lines)] = [one for one in seen if "/commit/" in one[0]]
    parts = [line["value"] for line in lines if line["key"] == "file"]
    files = {part["path"]: base64.b64decode(part["content"]) for part in parts}
    assert {"README.md", "finals.parquet", "answers.parquet", "runs.parquet", "scores.parquet"} <= files.keys()
    assert files["README.md"].startswith(b"---\npretty_name")
    assert files["finals.parquet"][:4] == b"PAR1"


def test_a_data_set_that_everybody_sees_is_written_only_when_asked(
    tmp_path: Path, hub: tuple[str, list[tuple[str, Any]]]
) -> None:
    address, seen = hub
    Hub.private = False
    results = write_everything(tmp_path / "results")
    asked = ("share", str(results), "--to", "anna/results")
    there = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_x", "HF_HOME": str(tmp_path / "home")}
    done = raystilts(*asked, **there)
    assert done.returncode == 2
    assert "everybody sees this data set; --public writes into it" in done.stderr
    assert not [path for path, _ in seen if "/commit/" in path]
    assert raystilts(*asked, "--public", **there).returncode == 0


def test_a_hub_that_is_not_there(tmp_path: Path) -> None:
    results = write_everything(tmp_path / "results")
    done = raystilts("share", str(results), "--to", "anna/results", HF_ENDPOINT="http://127.0.0.1:9",
                     HF_HUB_OFFLINE="0", HF_TOKEN="hf_x", HF_HOME=str(tmp_path / "home"))  # fmt: skip
    assert done.returncode == 2
    assert "the hub did not take it" in done.stderr
    assert "hf_x" not in done.stderr


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["raystilts", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def test_to_a_folder_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, out = write_everything(tmp_path / "results"), tmp_path / "out"
    for _ in range(2):
        assert run(monkeypatch, "share", str(results), "--to", str(out)) == 0
    assert "finals" in capsys.readouterr().out
    assert (out / "README.md").is_file()
    assert run(monkeypatch, "share", str(results), "--to", str(results)) == 2
    assert "a folder with other files" in capsys.readouterr().err
    assert run(monkeypatch, "share", str(results), "--to", str(out), "--public") == 2
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "share", str(results), "--to", f"{out.name}/new") == 0, "a folder beside the first"
    assert (out / "new" / "finals.parquet").is_file()
    assert "--public is for the hub" in capsys.readouterr().err
