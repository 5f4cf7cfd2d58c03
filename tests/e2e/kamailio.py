# SPDX-License-Identifier: BSD-3-Clause
"""Kamailio from Debian as the other end of the line: a provider that challenges its customers and takes their registration,
and a PBX that registers with the switch as its customer."""
from lab import SIDES, Process, until

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"

COMMON = """#!KAMAILIO
debug=2
log_stderror=yes
memdbg=5
memlog=5
children=1
auto_aliases=no
disable_tcp=yes
dns=no
rev_dns=no
listen=udp:{ip}:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
"""

# Customers authenticate each INVITE, re-INVITE and BYE; calls of customers go to the far end, calls of the far end to where the
# customer registered from.
PROVIDER = COMMON + """
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_count", {nonce_count})
modparam("auth", "qop", "auth")
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("ACK")) {{ if (has_totag()) {{ loose_route(); }} t_relay(); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("OPTIONS") && !has_totag()) {{ sl_send_reply("200", "OK"); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "1"); exit; }}
    xlog("L_NOTICE", "PROVIDER registered $au $ct for $hdr(Expires) s\\n");
    save("location");
    exit;
  }}
  if ($si != "{far}") {{
    if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "1"); exit; }}
    xlog("L_NOTICE", "PROVIDER authenticated $rm $au\\n");
    consume_credentials();
  }}
  if (has_totag()) {{ loose_route(); t_relay(); exit; }}
  record_route();
  if ($si == "{far}") {{
    if (!lookup("location")) {{ sl_send_reply("480", "Temporarily Unavailable"); exit; }}
  }} else {{
    $du = "sip:{far}:5060";
  }}
  t_relay();
}}
"""

# Registers with the switch, answers its challenges in the name of its phones, which know nothing of that, and gives them the
# calls that come in.
PBX = COMMON + """
loadmodule "db_text.so"
loadmodule "uac.so"
modparam("uac", "reg_db_url", "text://{tables}")
modparam("uac", "reg_contact_addr", "{ip}:{port}")
modparam("uac", "reg_timer_interval", 2)
modparam("uac", "reg_retry_interval", 3)
modparam("uac", "credential", "{user}:{realm}:{password}")
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("ACK")) {{ if (has_totag()) {{ loose_route(); }} t_relay(); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("OPTIONS") && !has_totag()) {{ sl_send_reply("200", "OK"); exit; }}
  if (has_totag()) {{ loose_route(); t_relay(); exit; }}
  record_route();
  if ($si == "{switch}") {{
    xlog("L_NOTICE", "PBX called $ru\\n");
    $du = "sip:{phone}:5060";
  }} else {{
    $du = "sip:{switch}:5060";
    t_on_failure("CHALLENGED");
  }}
  t_relay();
}}
failure_route[CHALLENGED] {{
  if (t_is_canceled() || !t_check_status("401|407")) exit;
  if (uac_auth()) {{
    xlog("L_NOTICE", "PBX answers the challenge\\n");
    t_relay();
  }}
}}
"""

UACREG = """id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string) realm(string) \
auth_username(string) auth_password(string) auth_ha1(string,null) auth_proxy(string) expires(int) flags(int) reg_delay(int) \
contact_addr(string,null) socket(string,null)
1:{user}:{user}:{realm}:{user}:{realm}:{realm}:{user}:{password}::sip\\:{switch}\\:5060:{expires}:0:0::
"""


class Kamailio:
    def __init__(self, lab, text, side="b", **values):
        self.lab = lab
        values = {"ip": SIDES[side]["ip"], "port": 5060, "modules": MODULES, **values}
        self.config = lab.folder / f"kamailio-{len(lab.children)}.cfg"
        self.config.write_text(text.format(**values))
        run = lab.folder / f"kamailio-{len(lab.children)}.run"
        run.mkdir()
        self.process = Process(self.config.stem, lab.in_ns(side, "/usr/sbin/kamailio", "-DD", "-E", "-f", self.config, "-Y", run,
                                                           "-m", "32", "-M", "4"), lab.folder)
        lab.children.append(self.process)
        lab.wait_listening(side, values["port"])

    def lines(self, what):
        return [line for line in self.process.text().splitlines() if what in line]

    def wait_line(self, what, n=1, timeout=15):
        until(lambda: len(self.lines(what)) >= n, timeout, what=f"{n} x '{what}' at Kamailio\n{self.process.text()[-2500:]}")


def provider(lab, realm="provider.example", password="wholesale", far=None, algorithm="", nonce_count=0, **kw):
    return Kamailio(lab, PROVIDER, realm=realm, password=password, far=far or "10.0.2.2", algorithm=algorithm,
                    nonce_count=nonce_count, **kw)


def pbx(lab, user, password, phone, realm="tandem.example", side="a", expires=60):
    """phone: the address of the one that it has."""
    tables = lab.folder / f"tables-{len(lab.children)}"
    tables.mkdir()
    switch = SIDES[side]["switch"]
    (tables / "version").write_text("table_name(string) table_version(int)\nuacreg:5\n")
    (tables / "uacreg").write_text(UACREG.format(user=user, password=password, realm=realm, switch=switch, expires=expires))
    return Kamailio(lab, PBX, side=side, tables=tables, user=user, password=password, phone=phone, realm=realm, switch=switch)
