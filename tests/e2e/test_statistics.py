# SPDX-License-Identifier: BSD-3-Clause
"""What an operator sees in figures."""
from scenario import BASIC_UAC, BASIC_UAS, ack_failure, invite, recv, uac

TO_B = ("-s", "442079460123")


def stats(lab):
    return {(row["name"], *sorted(row["labels"].items())): row.get("value", row.get("histogram")) for row in lab.show("stats")}


def test_show_stats(fresh):
    lab = fresh(workers=(1, 1, 1))
    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=10, rate=20, uac_args=TO_B)
    refused = lab.sipp("b", uac(invite(), recv(100, optional=True), recv(404), ack_failure()), "-s", "339", calls=3)
    assert refused.wait(20) == 0, lab.sipp_error(refused)
    lab.settle()
    found = stats(lab)

    def messages(name, direction, method, **labels):
        return found[(f"tandem_sip_{name}_total", *sorted({"direction": direction, "method": method, **labels}.items()))]

    assert messages("requests", "in", "INVITE") == 13 and messages("requests", "out", "INVITE") == 10
    assert messages("requests", "out", "BYE") == 10 and messages("responses", "out", "BYE", **{"class": "2xx"}) == 10
    assert messages("responses", "out", "INVITE", **{"class": "2xx"}) == 10
    assert messages("responses", "out", "INVITE", **{"class": "4xx"}) == 3
    counters = lab.counters()
    for name, total in (("requests", "rx"), ("responses", "rx"), ("requests", "tx"), ("responses", "tx")):
        direction = "in" if total == "rx" else "out"
        cells = [v for k, v in found.items() if k[0] == f"tandem_sip_{name}_total" and ("direction", direction) in k]
        assert sum(cells) == counters[f"sip.{total}_{name}"], name
    assert found[("tandem_calls_offered_total",)] == 13 and found[("tandem_calls_answered_total",)] == 10
    assert found[("tandem_calls_ended_total", ("result", "answered"))] == 10
    assert found[("tandem_calls_ended_total", ("result", "client_error"))] == 3
    assert found[("tandem_calls",)] == 0 and found[("tandem_calls_limit",)] == 4000
    durations = found[("tandem_call_duration_seconds",)]
    assert durations["count"] == 10 and sum(b["count"] for b in durations["buckets"]) == 10 and 2 < durations["sum"] < 8
    assert found[("tandem_post_dial_delay_seconds",)]["count"] == 10
    assert found[("tandem_rtp_loss_ratio",)]["count"] == found[("tandem_rtp_jitter_seconds",)]["count"]
    pools = {dict(k[1:])["pool"] for k in found if k[0] == "tandem_pool_used"}
    assert {"calls", "buffers", "media_legs"} <= pools
    for key, used in found.items():
        if key[0] == "tandem_pool_used":
            assert used <= found[("tandem_pool_size", *key[1:])], key
    assert found[("tandem_journal_written_bytes_total",)] > 0 and found[("tandem_journal_failing",)] == 0
    assert "tandem_calls_offered_total" in lab.ctl("show", "stats")
