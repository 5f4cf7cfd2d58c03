# SPDX-License-Identifier: BSD-3-Clause
"""baresip as a phone: registers, calls, answers, plays a tone of its own and records what it hears.

Two phones may stand behind one address, as behind a NAT: each has its own port there. The control socket takes one command
and gives events (netstrings of JSON); a tone is told from the recording, so that a test knows who heard whom.
"""
import json
import math
import pathlib
import struct
import subprocess
import sys
import wave

from lab import SIDES, Process, sh, until

RATE = 8000

CONFIG = """poll_method epoll
sip_listen {ip}:{port}
net_interface {interface}
audio_path {folder}
audio_player aubridge,{user}
audio_source aufile,{folder}/tone.wav
audio_alert aubridge,alert
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
jitter_buffer_delay 5-10
rtp_ports {rtp}-{rtp_end}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{ctl}
snd_path {folder}
"""

# Runs inside the phone's namespace: commands from standard input to the control socket, events to standard output.
BRIDGE = r"""
import selectors, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print('{"type": "LISTENING"}', flush=True)
selector = selectors.DefaultSelector()
selector.register(s, selectors.EVENT_READ)
selector.register(sys.stdin, selectors.EVENT_READ)
held = b""
while True:
    for key, _ in selector.select():
        if key.fileobj is sys.stdin:
            line = sys.stdin.readline().strip()
            if not line:
                sys.exit(0)
            s.sendall(f"{len(line)}:{line},".encode())
            continue
        data = s.recv(65536)
        if not data:
            sys.exit(0)
        held += data
        while b":" in held:
            size, _, rest = held.partition(b":")
            if len(rest) <= int(size):
                break
            print(rest[:int(size)].decode(), flush=True)
            held = rest[int(size) + 1:]
"""


def write_tone(path, hz, seconds=60):
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        period = b"".join(struct.pack("<h", round(8000 * math.sin(2 * math.pi * hz * i / RATE))) for i in range(RATE))
        out.writeframes(period * seconds)


def tone_share(path, hz):
    """How much of a recording's power, silence left out, lies at one frequency: 0 to 1."""
    data = pathlib.Path(path).read_bytes()[44:]  # the header's length field is not final while the phone records
    samples = struct.unpack(f"<{len(data) // 2}h", data[:len(data) // 2 * 2])
    step, shares = 800, []
    for at in range(0, len(samples) - step, step):
        part = samples[at:at + step]
        power = sum(x * x for x in part)
        if power < step * 100 * 100:
            continue
        turn = 2 * math.pi * hz / RATE
        re = sum(x * math.cos(turn * i) for i, x in enumerate(part))
        im = sum(x * math.sin(turn * i) for i, x in enumerate(part))
        shares.append(2 * (re * re + im * im) / (step * power))
    return sum(shares) / len(shares) if shares else 0.0


class Phone:
    made = 0

    def __init__(self, lab, user, password, domain="tandem.example", side="a", hz=440, answer="auto", options=""):
        Phone.made += 1
        self.lab, self.user, self.hz = lab, user, hz
        self.aor = f"{user}@{domain}"
        self.folder = lab.folder / f"phone-{user}-{Phone.made}"
        self.folder.mkdir()
        s, n = SIDES[side], Phone.made % 400
        port, ctl = 6000 + 10 * n, 24000 + n
        write_tone(self.folder / "tone.wav", hz)
        (self.folder / "config").write_text(CONFIG.format(
            ip=s["ip"], port=port, interface=f"{side}0", folder=self.folder, user=user, ctl=ctl, rtp=28000 + 40 * n,
            rtp_end=28038 + 40 * n))
        (self.folder / "accounts").write_text(
            f"<sip:{self.aor}>;auth_user={user};auth_pass={password};outbound=\"sip:{s['switch']}:5060\";regint=60;"
            f"answermode={answer}{options}\n")
        (self.folder / "contacts").write_text("")
        self.process = Process(f"phone-{user}-{Phone.made}", lab.in_ns(side, "baresip", "-4", "-f", self.folder), lab.folder)
        lab.children.append(self.process)
        until(lambda: f":{ctl} " in sh(*lab.in_ns(side, "ss", "-Hltn")), 15, what=f"phone {user}")
        self.events = lab.folder / f"{self.folder.name}.events"
        self.bridge = subprocess.Popen(lab.in_ns(side, sys.executable, "-c", BRIDGE, str(ctl)), stdin=subprocess.PIPE,
                                       stdout=open(self.events, "wb"), text=True)
        self.wait_event("LISTENING")

    # --- what a person does with it ---------------------------------------------------------------------------------

    def command(self, name, params=""):
        self.bridge.stdin.write(json.dumps({"command": name, "params": params, "token": "t"}) + "\n")
        self.bridge.stdin.flush()

    def dial(self, whom):
        self.command("dial", whom)

    def accept(self):
        self.command("accept")

    def hangup(self):
        self.command("hangup")

    # --- what it says -----------------------------------------------------------------------------------------------

    def text(self):
        return self.process.text()

    def said(self, kind):
        found = []
        for line in self.events.read_text(errors="replace").splitlines():
            event = json.loads(line)
            if event.get("type") == kind:
                found.append(event)
        return found

    def wait_event(self, kind, n=1, timeout=15):
        until(lambda: len(self.said(kind)) >= n, timeout, what=f"{kind} at phone {self.user}\n{self.text()[-2000:]}")
        return self.said(kind)[n - 1]

    def wait_registered(self, timeout=15):
        until(lambda: "200 OK" in self.text() or self.said("REGISTER_OK"), timeout,
              what=f"the registration of {self.user}\n{self.text()[-2000:]}")

    def recordings(self):
        """Of what came in, a file for each call, the last one last."""
        return sorted(self.folder.glob("dump-*-dec.wav"))

    def heard(self, hz):
        """Share of the tone in the last recording of what came in."""
        files = self.recordings()
        return tone_share(files[-1], hz) if files else 0.0

    def close(self):
        if self.bridge.poll() is None:
            self.bridge.kill()
            self.bridge.wait()
        self.process.kill()
