# SPDX-License-Identifier: BSD-3-Clause
"""A PostgreSQL of the test's own: Debian's programs, a folder in /tmp, a Unix socket, an unprivileged user."""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from lab import until


class Postgres:
    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        assert found, "no PostgreSQL: apt-get install postgresql"
        self.bin = pathlib.Path(found[-1]).parent
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tandem-pg-"))
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.url = f"postgresql://tandem@/postgres?host={self.folder}"
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "tandem", "-E", "UTF8", "--locale=C", "-D",
                  self.folder / "data").wait(60)
        self.start()

    def _run(self, program, *args):
        drop = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen([self.bin / program, *map(str, args)], stdout=log, stderr=log, cwd=self.folder,
                                    start_new_session=True, **drop)

    def start(self):
        self.p = self._run("postgres", "-D", self.folder / "data", "-c", "listen_addresses=", "-c",
                           f"unix_socket_directories={self.folder}", "-c", "fsync=off")
        until(lambda: self.ask("SELECT 1", quiet=True) or self.p.poll() is not None and self._again(), 30, what="the server")

    def _again(self):
        """It gives up where the memory of one that was killed is not free yet."""
        self.p = self._run("postgres", "-D", self.folder / "data", "-c", "listen_addresses=", "-c",
                           f"unix_socket_directories={self.folder}", "-c", "fsync=off")

    def _all(self):
        """The server and its children, which have sessions of their own."""
        children = pathlib.Path(f"/proc/{self.p.pid}/task/{self.p.pid}/children").read_text().split()
        return [self.p.pid, *map(int, children)]

    def signal(self, number):
        for pid in self._all():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        if self.p.poll() is None:
            self.signal(signal.SIGKILL)
            self.p.wait(10)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def ask(self, sql, quiet=False):
        """Rows as lists of text."""
        p = subprocess.run([self.bin / "psql", "-XAtq", "-F", "\t", "-d", self.url, "-c", sql], capture_output=True, text=True,
                           timeout=20)
        if quiet and p.returncode != 0:
            return []
        assert p.returncode == 0, p.stderr
        return [line.split("\t") for line in p.stdout.splitlines()]

    def backup(self):
        self._run("pg_dump", "--clean", "--if-exists", "-f", self.folder / "copy.sql", "-d", self.url).wait(30)

    def restore(self):
        """In one transaction, as who restores a database that is in use would."""
        p = self._run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", self.folder / "copy.sql", "-d", self.url)
        assert p.wait(30) == 0, (self.folder / "log").read_text()[-2000:]

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
