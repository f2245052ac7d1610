"""The broker mosquitto, which keeps its sessions on the disk, killed and started again."""

import os
import shutil
import socket
import subprocess
from getpass import getuser
from pathlib import Path
from time import sleep

from beatgan.errors import UsageError

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Mosquitto:
    """A broker on a free port of loopback, which comes back on the same one."""

    def __init__(self, folder: Path, *more: str) -> None:
        """``more``: lines of its configuration, in place of letting everybody in. Raises
        UsageError where there is no mosquitto."""
        if PROGRAM is None:
            raise UsageError("no mosquitto: apt-get install mosquitto")
        access = more or ("allow_anonymous true",)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._file, self._log = folder / "mosquitto.conf", folder / "mosquitto.log"
        self._file.write_text(
            f"listener {self.port} 127.0.0.1\nuser {getuser()}\n"
            f"persistence true\npersistence_location {folder.resolve()}/\n"
            "autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n"
            + "".join(f"{line}\n" for line in access)
        )

    def start(self) -> None:
        """Until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([PROGRAM or "", "-c", self._file], stderr=log)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Without a word."""
        self._process.kill()
        self._process.wait()
