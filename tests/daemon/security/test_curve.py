"""Keys in files: made once, readable by their owner alone, and named when something is wrong."""

import os
from pathlib import Path

import pytest
import zmq
import zmq.auth

from beatgan_daemon.exit_codes import StartError
from beatgan_daemon.security.curve import KEY_LENGTH, KeyPair, is_key, keygen, load_key, load_public


def test_a_key_pair_is_made_and_read_again(tmp_path: Path) -> None:
    made = keygen(tmp_path / "bed-1")
    secret = tmp_path / "bed-1.key_secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert load_key(secret, {}) == made
    assert zmq.curve_public(made.secret) == made.public
    assert load_public(str(tmp_path / "bed-1.key")) == load_public(made.public.decode())
    assert made.secret not in (tmp_path / "bed-1.key").read_bytes()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    made = keygen(tmp_path / "bed-1")
    with pytest.raises(StartError, match=r"bed-1\.key_secret: exists already"):
        keygen(tmp_path / "bed-1")
    assert load_key(tmp_path / "bed-1.key_secret", {}) == made


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"nowhere/bed\.key_secret: cannot be written"):
        keygen(tmp_path / "nowhere" / "bed")


def test_a_secret_key_is_in_no_text(tmp_path: Path) -> None:
    made = keygen(tmp_path / "bed-1")
    assert made.secret.decode() not in f"{made} {made!r}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    keygen(tmp_path / "bed-1")
    secret = tmp_path / "bed-1.key_secret"
    secret.chmod(mode)
    with pytest.raises(StartError, match="others may read this secret key") as caught:
        load_key(secret, {"CREDENTIALS_DIRECTORY": str(tmp_path / "elsewhere")})
    assert f"chmod 600 {secret}" in str(caught.value)
    load_key(secret, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def broken(folder: Path) -> dict[str, Path]:
    """Files that hold no key pair, by what is said of them."""
    pair, other = keygen(folder / "one"), keygen(folder / "two")
    texts = {
        "holds no secret key": (folder / "one.key").read_text(),
        "does not belong": f'curve\n public-key = "{other.public.decode()}"\n'
        f' secret-key = "{pair.secret.decode()}"\n',
        "no key pair can be read: it is no certificate": "nothing\n",
        "no key pair can be read: it is no": "public-key\n",
        "holds no secret": 'public-key = "short"\nsecret-key = "short"\n',
    }
    found = {}
    for number, (why, text) in enumerate(texts.items()):
        found[why] = folder / str(number)
        found[why].touch(0o600)
        found[why].write_text(text)
    return found | {"No such file": folder / "missing"}


@pytest.mark.timeout(30)
def test_a_key_that_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    for place in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(StartError, match=r"can be read: Not a regular file"):
            load_key(place)
        with pytest.raises(StartError, match=r"can be read: Not a regular file"):
            load_public(str(place))


def test_what_is_no_key_pair_is_said(tmp_path: Path) -> None:
    for why, file in broken(tmp_path).items():
        with pytest.raises(StartError, match=why) as caught:
            load_key(file, {})
        assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "~" * 40, "é" * 40, "%" * 40])
def test_what_is_no_public_key_is_said(text: str) -> None:
    assert not is_key(text.encode())
    with pytest.raises(StartError):
        load_public(text)


def test_every_generated_key_is_one() -> None:
    for _ in range(200):
        pair = KeyPair(*zmq.curve_keypair())
        assert is_key(pair.public)
        assert is_key(pair.secret)
        assert len(pair.public) == KEY_LENGTH
