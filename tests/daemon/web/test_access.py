"""Beyond loopback: TLS that is spoken, users, roles; a proxy; and what is refused at the start."""

import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from beatgan_daemon.web.sessions import Person, ProxySession
from beatgan_daemon.web.tab import SESSION_ENDED
from tests.daemon.web.conftest import Daemon, eventually, until
from tests.support.messages import alert_message

PASSWORD = "correct horse"
BEATGAN = (sys.executable, "-m", "beatgan_daemon")


def make_certificate(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=page", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(cert)]
    command += ["-addext", f"subjectAltName={names}"] if names else []
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    return cert, key


def make_expired(folder: Path) -> None:
    """In place of the certificate, one of 2020 (`openssl req` makes none of the past)."""
    (folder / "index").touch()
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\nnew_certs_dir={folder}\n"
        "rand_serial=yes\ndefault_md=sha256\npolicy=any\nx509_extensions=names\n"
        "[any]\ncommonName=supplied\n[names]\nsubjectAltName=IP:127.0.0.1\n"
    )
    key, request = str(folder / "key.pem"), str(folder / "request.pem")
    ask = ["openssl", "req", "-new", "-key", key, "-subj", "/CN=page", "-out", request]
    sign = ["openssl", "ca", "-batch", "-notext", "-selfsign", "-config", str(folder / "ca.conf")]
    sign += ["-keyfile", key, "-in", request, "-out", str(folder / "cert.pem")]
    sign += ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
    for command in (ask, sign):
        subprocess.run(command, check=True, capture_output=True)


def add_user(file: Path, name: str, role: str, password: str = PASSWORD) -> None:
    command = [*BEATGAN, "web-user", name, "--role", role, "--users", str(file)]
    subprocess.run(command, input=f"{password}\n", text=True, check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a certificate, its key, and two users."""
    make_certificate(tmp_path)
    add_user(tmp_path / "users", "Anna", "acknowledge")
    add_user(tmp_path / "users", "Vera", "view")
    return tmp_path


def options(folder: Path) -> list[str]:
    files = (("--tls-cert", "cert.pem"), ("--tls-key", "key.pem"), ("--users", "users"))
    return [word for flag, name in files for word in (flag, str(folder / name))]


class Page:
    """The process, and a browser without a cookie."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, log: Path) -> None:
        assert process.stdout is not None
        self.process, self._log = process, log
        self.url = urlsplit(process.stdout.readline().strip())
        self.context = None
        if (folder / "cert.pem").exists():
            self.context = ssl.create_default_context(cafile=folder / "cert.pem")

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        host = self.url.netloc
        opened: http.client.HTTPConnection
        opened = (
            http.client.HTTPSConnection(host, context=self.context, timeout=10)
            if self.context
            else http.client.HTTPConnection(host, timeout=10)
        )
        if method == "POST":
            headers = {"Origin": f"{self.url.scheme}://{host}", **headers}
        opened.request(method, path, urlencode(form) if form else None, headers)
        reply = opened.getresponse()
        found = {key.lower(): value for key, value in reply.getheaders()}
        body = reply.read().decode()
        opened.close()
        return reply.status, found, body

    def log_in(self, name: str, password: str = PASSWORD) -> str:
        """The cookie."""
        status, headers, _ = self.ask("POST", "/login", {"name": name, "password": password})
        assert (status, headers["location"]) == (303, "/")
        return headers["set-cookie"].split(";")[0]

    def socket(self, cookie: str) -> Any:
        host = self.url.netloc
        return connect(
            f"wss://{host}/ws",
            origin=Origin(f"https://{host}"),
            additional_headers={"Cookie": cookie},
            ssl=self.context,
            compression=None,
        )


@contextmanager
def serving(daemon: Daemon, folder: Path, words: Sequence[str], host: str) -> Iterator[Page]:
    command = [*BEATGAN, "web", *daemon.endpoints, "--listen", f"{host}:0", *words]
    log = folder / "log"
    with log.open("w") as err:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        yield Page(process, folder, log)
    finally:
        process.terminate()
        assert process.wait(10) == 0, log.read_text()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def page(daemon: Daemon, folder: Path) -> Iterator[Page]:
    with serving(daemon, folder, options(folder), "0.0.0.0") as page:
        yield page


def refused(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [*BEATGAN, "web", *words], capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stderr


def test_nobody_gets_in_without_a_name_and_password(page: Page) -> None:
    for path in ("/", "/alarms", "/?token=x"):
        status, headers, _ = page.ask("GET", path)
        assert (status, headers["location"]) == (303, "/login")
    assert page.ask("GET", "/api/alarms")[0] == 401
    assert page.ask("GET", "/api/alarms?token=x")[0] == 401
    status, headers, form = page.ask("GET", "/login")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "<style" not in form
    assert "style=" not in form
    assert "<script" not in form


def test_a_cookie_is_for_this_page_over_tls_alone(page: Page) -> None:
    form = {"name": "Anna", "password": PASSWORD}
    cookie = page.ask("POST", "/login", form)[1]["set-cookie"]
    assert cookie.startswith("__Host-")
    for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/", "Max-Age="):
        assert word in cookie
    assert page.ask("GET", "/", Cookie=cookie.split(";")[0])[0] == 200


def test_a_login_from_another_page_is_refused(page: Page) -> None:
    form = {"name": "Anna", "password": PASSWORD}
    for origin in ("https://evil.example", "null", f"http://{page.url.netloc}"):
        assert page.ask("POST", "/login", form, Origin=origin)[0] == 403
    assert page.ask("GET", "/login", Host="evil.example")[0] == 421


def test_failed_logins_are_slowed_and_told_without_what_was_typed(page: Page) -> None:
    for name in ("Anna", "my secret", "Anna", "Anna"):
        wrong = {"name": name, "password": "wrong-password"}
        status, headers, body = page.ask("POST", "/login", wrong)
        assert status == 401
        assert "set-cookie" not in headers
        assert "not right" in body
    status, headers, body = page.ask("POST", "/login", {"name": "Anna", "password": PASSWORD})
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    said = [each for each in page.log if each["event"] == "login failed"]
    assert [each["failures"] for each in said] == [1, 2, 3, 4]
    assert [each.get("user") for each in said] == ["Anna", None, "Anna", "Anna"]
    assert "secret" not in str(said)
    assert "wrong-password" not in str(said)


def test_a_form_that_is_none_is_refused(page: Page) -> None:
    assert page.ask("POST", "/login", {"name": "Anna"})[0] == 400
    assert page.ask("POST", "/login", {"name": "Anna", "password": "x" * 5_000})[0] == 400


def test_who_may_look_cannot_acknowledge(daemon: Daemon, page: Page) -> None:
    daemon.alert(alert_message(0, "a"))
    with page.socket(page.log_in("Vera")) as socket:
        hello = until(socket, lambda said: said["t"] == "hello")
        assert (hello["user"], hello["can_acknowledge"]) == ("Vera", False)
        socket.send(json.dumps({"t": "ack", "id": "a", "name": "Anna"}))
        said = until(socket, lambda said: said["t"] == "refused")
        assert said["text"] == "you may look, not acknowledge"
    assert daemon.actions.acknowledged == []


def test_who_may_acknowledge_does_it_under_the_name_of_the_login(
    daemon: Daemon, page: Page
) -> None:
    daemon.alert(alert_message(0, "a"))
    with page.socket(page.log_in("Anna")) as socket:
        assert until(socket, lambda said: said["t"] == "hello")["can_acknowledge"]
        socket.send(json.dumps({"t": "ack", "id": "a", "name": "Vera"}))
        eventually(lambda: daemon.actions.acknowledged == [("a", "Anna")])


def test_logging_out_ends_the_session_and_its_sockets(page: Page) -> None:
    cookie = page.log_in("Vera")
    with page.socket(cookie) as socket:
        until(socket, lambda said: said["t"] == "hello")
        assert page.ask("POST", "/logout", Cookie=cookie)[0] == 303
        with pytest.raises(ConnectionClosed) as closed:
            until(socket, lambda said: False)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == SESSION_ENDED
    assert page.ask("GET", "/", Cookie=cookie)[0] == 303


def test_the_list_of_users_is_read_again_and_a_wrong_one_is_not_taken(
    page: Page, folder: Path
) -> None:
    cookie, users = page.log_in("Anna"), folder / "users"
    good = users.read_text()
    users.write_text(good + "nonsense\n")
    said: list[dict[str, Any]] = []

    def told() -> bool:
        assert page.ask("GET", "/", Cookie=cookie)[0] == 200
        said[:] = [each for each in page.log if each["event"] == "users not read again"]
        return bool(said)

    eventually(told)
    assert "users:3" in said[0]["why"]
    users.write_text("".join(line for line in good.splitlines(True) if "Anna" not in line))
    eventually(lambda: page.ask("GET", "/", Cookie=cookie)[0] == 303)
    page.log_in("Vera")


def test_a_new_password_ends_the_sessions_of_the_old_one(page: Page, folder: Path) -> None:
    cookie = page.log_in("Anna")
    add_user(folder / "users", "Anna", "acknowledge", "another password")
    eventually(lambda: page.ask("GET", "/", Cookie=cookie)[0] == 303)
    assert page.ask("POST", "/login", {"name": "Anna", "password": PASSWORD})[0] == 401
    page.log_in("Anna", "another password")


def test_plain_http_gets_nothing(page: Page) -> None:
    plain = http.client.HTTPConnection(page.url.netloc, timeout=5)
    plain.request("GET", "/")
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.getresponse()
    plain.close()


def test_beyond_loopback_it_does_not_start_alone(folder: Path) -> None:
    code, said = refused("--listen", "0.0.0.0:0")
    assert (code, "--behind-proxy" in said) == (2, True)
    code, said = refused("--listen", "0.0.0.0:0", *options(folder)[:4])
    assert (code, "give all three or none" in said) == (2, True)
    assert refused("--behind-proxy", "https://page/path")[0] == 2
    assert refused("--user-header", "X-User")[0] == 2


def test_what_is_wrong_with_the_files_is_said_at_the_start(folder: Path, tmp_path: Path) -> None:
    def expect(words: str) -> None:
        code, said = refused("--listen", "127.0.0.1:0", *options(folder))
        assert code == 3
        assert words in said
        assert said.count("\n") == 1

    cert, key, users = folder / "cert.pem", folder / "key.pem", folder / "users"
    key.chmod(0o640)
    expect(f"{key}: others may read this secret (mode 0640)")
    key.chmod(0o600)
    users.chmod(0o644)
    expect(f"{users}: others may read it (mode 0644)")
    users.chmod(0o600)
    known = users.read_text()
    users.write_text("")
    expect(f"{users}: holds nobody")
    users.write_text(known)
    make_certificate(folder, names="")
    expect(f"{cert}: is for no name")
    make_expired(folder)
    expect(f"{cert}: certificate has expired")
    (folder / "other").mkdir()
    other = make_certificate(folder / "other")[1]
    key.write_bytes(other.read_bytes())
    expect("the key does not belong to the certificate")
    key.write_text("nonsense")
    expect("no certificate and key in PEM")
    key.unlink()
    expect(f"{key}: cannot be read: No such file")


def test_only_the_proxy_is_heard_and_it_says_who_may_acknowledge() -> None:
    session = ProxySession(["10.0.0.1"], "X-User")
    anna = Headers({"x-user": "Anna"})
    assert session.person(anna, "10.0.0.2") is None
    assert session.person(anna, "") is None
    assert session.person(anna, "10.0.0.1") == Person("Anna", may_acknowledge=True)
    assert session.person(Headers(), "10.0.0.1") == Person(None, may_acknowledge=False)
    twice = Headers(raw=[(b"x-user", b"Anna"), (b"x-user", b"Vera")])
    assert session.person(twice, "10.0.0.1") == Person(None, may_acknowledge=False)
    without = ProxySession(["10.0.0.1"], None)
    assert without.person(anna, "10.0.0.1") == Person(None, may_acknowledge=False)


def test_behind_a_proxy_its_names_are_the_pages(daemon: Daemon, tmp_path: Path) -> None:
    words = ["--behind-proxy", "https://ward.example"]
    with serving(daemon, tmp_path, words, "127.0.0.1") as page:
        assert page.url.geturl() == "https://ward.example"


def test_a_password_has_a_length_and_a_name_can_be_shown(tmp_path: Path) -> None:
    for name, password in (("Anna", "short"), (" Anna", PASSWORD), ("A\nb", PASSWORD)):
        done = subprocess.run(
            [*BEATGAN, "web-user", name], input=password, text=True, capture_output=True
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_users_line_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    users = tmp_path / "users"
    add_user(users, "Anna", "view")
    users.write_text("# of the night\n" + users.read_text())
    add_user(users, "Vera", "view")
    add_user(users, "Anna", "acknowledge")
    lines = users.read_text().splitlines()
    assert lines[0] == "# of the night"
    assert [json.loads(line)["name"] for line in lines[1:]] == ["Vera", "Anna"]
    assert users.stat().st_mode & 0o777 == 0o600
