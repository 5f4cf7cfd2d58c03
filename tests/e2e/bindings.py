# SPDX-License-Identifier: BSD-3-Clause
"""Records of include/binding.h, as the data plane journals them and the store keeps them."""
import ipaddress
import struct


def binding(aor, contact, changed_us, expires_s, op=1, local="10.0.1.1:5062", realm="access"):
    """A packed record: op 1 is there, 2 is gone. local: of the flow, which stands for the remote side too."""
    texts = [t.encode() for t in (aor, realm, contact, "call-id", "", "", "Phone")]
    ip, port = local.rsplit(":", 1)
    flow = struct.pack("<16sHBB", ipaddress.ip_address(ip).packed, int(port), 4, 0)
    head = struct.pack("<BBHBBIIQQ", 1, op, 1000, 0, 0, 0, 1, expires_s, changed_us) + 2 * flow
    head += struct.pack("<8H", *[len(t) for t in texts], 0)
    body = b"".join(texts)
    size = (2 + len(head) + len(body) + 7) // 8 * 8
    return struct.pack("<H", size) + head + body + bytes(size - 2 - len(head) - len(body))
