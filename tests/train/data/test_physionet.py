"""Downloading, from a small PhysioNet on loopback: resume, digests, and what is said in trouble."""

import hashlib
import io
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from beatgan.errors import RecordError, UsageError
from beatgan_train.data.physionet import Fetched, run

FILES = {"RECORDS": b"1\n", "1.dat": bytes(range(256)) * 1000, "sub/1 x.hea": b"1 1 360\n"}


class Site:
    """A server of one database, ``toydb``; remembers what it was asked."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.sums = "".join(
            f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in FILES.items()
        )
        self.asked: list[tuple[str, str | None]] = []
        self.cut: dict[str, int] = {}  # break the connection after so many bytes
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append((self.path, self.headers["Range"]))
                if self.path == "/content/toydb/":
                    self.send_response(302)
                    self.send_header("Location", "/content/toydb/1.2.0/")
                    self.end_headers()
                else:
                    self.answer(site.body(self.path))

            def answer(self, body: bytes | None) -> None:
                if body is None:
                    self.send_error(404)
                    return
                first = int((self.headers["Range"] or "bytes=0-")[6:-1])
                if first and first >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(body) - first))
                self.end_headers()
                name = self.path.split("1.2.0/")[-1]
                self.wfile.write(body[first : site.cut.pop(name, len(body))])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def body(self, path: str) -> bytes | None:
        if path == "/content/toydb/1.2.0/":
            return b"<html>"
        if path == "/files/toydb/1.2.0/SHA256SUMS.txt":
            return self.sums.encode()
        return self.files.get(path.removeprefix("/files/toydb/1.2.0/").replace("%20", " "))

    def downloads(self) -> list[str]:
        return [path.split("1.2.0/")[1] for path, _ in self.asked if path.startswith("/files")][1:]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def fetch(site: Site, data: Path, db: str = "toydb") -> Fetched:
    return run(db, data, site=site.url, console=Console(file=io.StringIO()))


def stored(data: Path) -> dict[str, bytes]:
    folder = data / "toydb"
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_everything_listed_is_fetched_once(site: Site, tmp_path: Path) -> None:
    assert fetch(site, tmp_path) == Fetched(new=3, present=0)
    assert stored(tmp_path) == FILES
    site.asked.clear()
    assert fetch(site, tmp_path) == Fetched(new=0, present=3)
    assert site.downloads() == []


def test_a_damaged_file_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fetch(site, tmp_path)
    (tmp_path / "toydb" / "1.dat").write_bytes(FILES["1.dat"][:-1] + b"?")
    assert fetch(site, tmp_path) == Fetched(new=1, present=2)
    assert stored(tmp_path) == FILES


def test_a_broken_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cut["1.dat"] = 100_000
    with pytest.raises(RecordError, match=r"1\.dat|cannot reach"):
        fetch(site, tmp_path)
    assert (tmp_path / "toydb" / "1.dat.part").stat().st_size == 100_000
    assert fetch(site, tmp_path).new == 2
    assert ("/files/toydb/1.2.0/1.dat", "bytes=100000-") in site.asked
    assert stored(tmp_path) == FILES


def test_a_part_longer_than_the_file_is_begun_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / "toydb").mkdir()
    (tmp_path / "toydb" / "RECORDS.part").write_bytes(b"much too long")
    fetch(site, tmp_path)
    assert stored(tmp_path) == FILES


def test_what_is_not_what_was_listed_is_discarded(site: Site, tmp_path: Path) -> None:
    site.files["RECORDS"] = b"2\n"
    with pytest.raises(RecordError, match="RECORDS: what arrived is not what is listed"):
        fetch(site, tmp_path)
    assert stored(tmp_path) == {}


def test_a_listed_file_that_is_not_there(site: Site, tmp_path: Path) -> None:
    del site.files["1.dat"]
    with pytest.raises(RecordError, match=r"1\.dat: 404"):
        fetch(site, tmp_path)


def test_no_such_database(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no database 'otherdb'"):
        fetch(site, tmp_path, "otherdb")


@pytest.mark.parametrize("name", ["", "../etc", "mitdb/1.0.0", "MIT db"])
def test_names_that_are_none(site: Site, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a PhysioNet database"):
        fetch(site, tmp_path, name)
    assert site.asked == []


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "..\\evil"])
def test_a_list_that_leads_out_of_the_folder_is_refused(
    site: Site, tmp_path: Path, path: str
) -> None:
    site.sums = f"{'0' * 64}  {path}\n"
    with pytest.raises(RecordError, match="not understood"):
        fetch(site, tmp_path)
    assert site.downloads() == []


def test_without_a_network_the_error_says_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(RecordError, match=r"cannot reach 127\.0\.0\.1.*refused"):
            run("mitdb", tmp_path, site=url)
    assert not (tmp_path / "mitdb").exists()
