# SPDX-License-Identifier: BSD-3-Clause
"""SIPp scenarios from steps, so that a test shows its call flow where it is read.

    uac(invite(), recv(180), recv(200), ack(), pause(500), bye(), recv(200))
    uas(recv("INVITE"), reply(180), reply(200, sdp=True), recv("ACK"), recv("BYE"), reply(200))
"""

SDP = """v=0
o=- 53655765 {version} IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] {address}
t=0 0
m=audio {port} RTP/AVP {formats}
{rtpmaps}
a=ptime:20
a={direction}"""

RTPMAPS = {"8": "a=rtpmap:8 PCMA/8000", "0": "a=rtpmap:0 PCMU/8000", "18": "a=rtpmap:18 G729/8000",
           "101": "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15"}


def sdp(version=1, formats="8 0 101", direction="sendrecv", address="[media_ip]", port="[media_port]", extra=""):
    maps = "\n".join(RTPMAPS[f] for f in formats.split())
    text = SDP.format(version=version, formats=formats, rtpmaps=maps, direction=direction, address=address, port=port)
    return text + ("\n" + extra if extra else "")


def _send(text, body="", retrans=None, attributes=""):
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append("Content-Length: [len]")
    message = "\n".join(lines) + "\n\n" + (body + "\n" if body else "")
    timer = f' retrans="{retrans}"' if retrans else ""
    return f"<send{timer}{attributes}><![CDATA[\n{message}\n]]></send>"


# --- the calling side ---------------------------------------------------------------------------------------------------

def invite(body=None, headers="", cseq=1, from_user="sipp", uri="sip:[service]@[remote_ip]:[remote_port]", max_forwards=70):
    body = sdp() if body is None else body
    return _send(f"""INVITE {uri} SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: "Tester" <sip:{from_user}@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>
        Call-ID: [call_id]
        CSeq: {cseq} INVITE
        Contact: <sip:{from_user}@[local_ip]:[local_port]>
        Max-Forwards: {max_forwards}
        {headers}""", body, 500)


def ack(cseq=1, body=""):
    """To a 2xx: a request of its own, to the remote target."""
    return _send(f"""ACK [next_url] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        [routes]
        From: "Tester" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
        Call-ID: [call_id]
        CSeq: {cseq} ACK
        Max-Forwards: 70""", body)


def ack_failure(cseq=1):
    """To a non-2xx: part of the INVITE transaction, same branch."""
    return _send(f"""ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        [last_Via]
        From: "Tester" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
        Call-ID: [call_id]
        CSeq: {cseq} ACK
        Max-Forwards: 70""")


def cancel(back=1):
    """Of the INVITE `back` messages ago."""
    return _send(f"""CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-{back}]
        From: "Tester" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>
        Call-ID: [call_id]
        CSeq: 1 CANCEL
        Max-Forwards: 70""", "", 500)


def in_dialog(method, cseq, body="", headers="", retrans=500):
    """Any request of the caller inside its dialog."""
    contact = "Contact: <sip:sipp@[local_ip]:[local_port]>" if method in ("INVITE", "UPDATE") else ""
    return _send(f"""{method} [next_url] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        [routes]
        From: "Tester" <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
        To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
        Call-ID: [call_id]
        CSeq: {cseq} {method}
        {contact}
        Max-Forwards: 70
        {headers}""", body, retrans)


def bye(cseq=2):
    return in_dialog("BYE", cseq)


# --- the called side ------------------------------------------------------------------------------------------------------

def reply(status, reason=None, body="", headers="", tag=True, retrans=None):
    """Answers the last request."""
    text = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 486: "Busy Here", 487: "Request Terminated",
            503: "Service Unavailable", 491: "Request Pending", 404: "Not Found", 603: "Decline"}
    to = "[last_To:];tag=[pid]SIPpUas[call_number]" if tag else "[last_To:]"
    return _send(f"""SIP/2.0 {status} {reason or text.get(status, "Answer")}
        [last_Via:]
        [last_Record-Route:]
        [last_From:]
        {to}
        [last_Call-ID:]
        [last_CSeq:]
        Contact: <sip:uas@[local_ip]:[local_port]>
        {headers}""", body, retrans)


def reply_again(status, body="", headers=""):
    """Answers a request inside the dialog: its To has our tag already."""
    return reply(status, body=body, headers=headers, tag=False)


def callee_request(method, cseq, body="", headers=""):
    """A request of the called side inside its dialog; needs remember_dialog() behind recv('INVITE')."""
    contact = "Contact: <sip:uas@[local_ip]:[local_port]>" if method in ("INVITE", "UPDATE") else ""
    return _send(f"""{method} [$target] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From:[$me];tag=[pid]SIPpUas[call_number]
        To:[$peer]
        Call-ID: [call_id]
        CSeq: {cseq} {method}
        {contact}
        Max-Forwards: 70
        {headers}""", body, 500)


REMEMBER = """<action>
<ereg regexp="sip:[^>;]*" search_in="hdr" header="Contact:" assign_to="target"/>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="peer"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="me"/>
</action>"""


# --- both -----------------------------------------------------------------------------------------------------------------

def recv(what, optional=False, timeout=None, action="", rrs=True, next_label=None, test=None):
    key = "request" if isinstance(what, str) else "response"
    more = ' optional="true"' if optional else ""
    more += f' timeout="{timeout}"' if timeout else ""
    # SIPp takes target and route set only from a response with a Contact.
    more += ' rrs="true"' if rrs and what in ("INVITE", 200) else ""
    more += f' next="{next_label}"' if next_label else ""
    return f'<recv {key}="{what}"{more}>{action}</recv>'


def recv_invite():
    return recv("INVITE", action=REMEMBER)


def pause(ms):
    return f'<pause milliseconds="{ms}"/>'


def label(n):
    return f'<label id="{n}"/>'


def expect(header, regexp):
    """An action for recv(): the header must match."""
    return f'<action><ereg regexp="{regexp}" search_in="hdr" header="{header}:" check_it="true" assign_to="seen"/></action>'


def expect_body(regexp):
    return f'<action><ereg regexp="{regexp}" search_in="body" check_it="true" assign_to="seen"/></action>'


PROVISIONALS = recv(100, optional=True) + recv(180, optional=True) + recv(183, optional=True)


def scenario(*steps):
    text = "\n".join(steps)
    used = [v for v in ("target", "peer", "me", "seen") if f'assign_to="{v}"' in text]
    reference = f'<Reference variables="{",".join(used)}"/>' if used else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="tandem">\n{text}\n{reference}\n</scenario>\n'


uac = uas = scenario

# The flows that most tests are made of.
BASIC_UAC = uac(invite(), PROVISIONALS, recv(200), ack(), pause(300), bye(), recv(200))
BASIC_UAS = uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200))
