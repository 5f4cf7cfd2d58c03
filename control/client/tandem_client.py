#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A client of tandem-control in Python: the schema (include/tandem.proto), protoc and a socket.

    from tandem_client import Tandem, Refused

    with Tandem("/run/tandem/control.sock") as switch:
        for trunk in switch.show("TRUNKS"):
            print(trunk.name, trunk.state, trunk.calls)
        for event in switch.watch("trunk", "alarm"):
            print(event.kind, event.subject, event.state, event.text)

From a shell: tandem_client.py [-s SOCKET] show TABLE [KEY] | watch [KIND …] | status | hangup ID | drain | undrain |
reload | check-reload. It needs python3-protobuf, and protobuf-compiler to make tandem_pb2 of the schema once.
"""
import importlib
import itertools
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

FRAME_MAX = 16 << 20


def load_schema():
    """tandem_pb2, from the path or made of the schema that lies beside this file or in the source tree."""
    try:
        return importlib.import_module("tandem_pb2")
    except ImportError:
        pass
    here = pathlib.Path(__file__).resolve().parent
    for folder in (here, here.parent.parent / "include"):
        if (folder / "tandem.proto").exists():
            with tempfile.TemporaryDirectory() as made:
                subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={made}", "tandem.proto"], check=True)
                sys.path.insert(0, made)
                try:
                    return importlib.import_module("tandem_pb2")
                finally:
                    sys.path.remove(made)
    raise ImportError("no tandem_pb2, and no tandem.proto to make it of: protoc --python_out=. tandem.proto")


pb = load_schema()


class Refused(Exception):
    """An Error frame: code is an errno, text says what was wrong and what to do."""

    def __init__(self, error):
        super().__init__(f"{error.text} ({os.strerror(error.code)})" if error.code else error.text)
        self.code, self.text = error.code, error.text


class Tandem:
    """One connection. Requests are made one after the other; a watch takes the connection for itself."""

    def __init__(self, path="/run/tandem/control.sock", timeout=15.0):
        self.ids = itertools.count(1)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    # --- frames ---

    def send(self, **body):
        """Sends Frame(**body) under a new id, which it returns."""
        frame = pb.Frame(version=1, id=next(self.ids), **body)
        data = frame.SerializeToString()
        self.socket.sendall(struct.pack(">I", len(data)) + data)
        return frame.id

    def _read(self, n):
        data = bytearray()
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise ConnectionError("tandem-control closed the connection")
            data += piece
        return bytes(data)

    def receive(self):
        """The next frame, whatever it is."""
        (n,) = struct.unpack(">I", self._read(4))
        if n > FRAME_MAX:
            raise ConnectionError(f"a frame of {n} bytes")
        return pb.Frame.FromString(self._read(n))

    def answers(self, request):
        """The frames that answer a request, up to the one that ends the answer. Raises Refused."""
        while True:
            frame = self.receive()
            if frame.id not in (0, request):  # of a request that was given up
                continue
            if frame.WhichOneof("body") == "error":
                raise Refused(frame.error)
            yield frame
            if frame.WhichOneof("body") in ("done", "status"):
                return

    # --- requests ---

    def ask(self, **body):
        """The frame that ends the answer: frame.done, frame.status."""
        return list(self.answers(self.send(**body)))[-1]

    def show(self, table, **arguments):
        """Rows of a table by its name in the schema: show("CALLS"), show("CALLS", key=id), show("COUNTERS", per_core=True)."""
        request = self.send(show=pb.Show(table=pb.Table.Value(table), **arguments))
        return [getattr(f.item, f.item.WhichOneof("row")) for f in self.answers(request)
                if f.WhichOneof("body") == "item" and f.item.WhichOneof("row")]

    def status(self):
        return self.ask(status_request=pb.StatusRequest()).status

    def hangup(self, call_id):
        return self.ask(hangup=pb.Hangup(call_id=call_id)).done

    def drain(self, on=True):
        return self.ask(drain=pb.Drain(off=not on)).done

    def reload(self, dry_run=False):
        """What changed, or would change, and what needs a restart."""
        return self.ask(reload=pb.Reload(dry_run=dry_run)).done.text

    def watch(self, *kinds, trunk=""):
        """Events without end; kinds: trunk, alarm, call, policy, dataplane, audit, dns (none: all but call)."""
        request = self.send(subscribe=pb.Subscribe(kinds=kinds, trunk=trunk))
        for _ in self.answers(request):
            pass  # Done: from here on nothing is missed
        self.socket.settimeout(None)
        return self._events(request)

    def _events(self, request):
        while True:
            frame = self.receive()
            if frame.id == request and frame.WhichOneof("body") == "event":
                yield frame.event


def main(argv):
    path = "/run/tandem/control.sock"
    if len(argv) > 2 and argv[1] == "-s":
        path, argv = argv[2], argv[2:]
    command, args = (argv[1:2] or [""])[0], argv[2:]
    try:
        with Tandem(path) as switch:
            if command == "show" and args:
                rows = switch.show(args[0].upper(), key=args[1] if len(args) > 1 else "")
            elif command == "watch":
                rows = switch.watch(*args)
            elif command == "status":
                rows = [switch.status()]
            elif command == "hangup" and args:
                rows = [switch.hangup(args[0])]
            elif command in ("drain", "undrain"):
                rows = [switch.drain(command == "drain")]
            elif command in ("reload", "check-reload"):
                rows = [switch.reload(command == "check-reload")]
            else:
                print(__doc__, file=sys.stderr)
                return 2
            for row in rows:
                print(str(row).strip(), end="\n\n", flush=True)
    except KeyboardInterrupt:
        return 130
    except Refused as e:
        print(f"refused: {e}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
