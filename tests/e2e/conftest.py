# SPDX-License-Identifier: BSD-3-Clause
import pytest

from lab import Lab

SHAPES = {
    "af_packet-1": {"device": "af_packet", "workers": (1,)},
    "af_packet-3": {"device": "af_packet", "workers": (1, 1, 1)},
    "af_xdp-1": {"device": "af_xdp", "workers": (1,)},
    "tap-1": {"device": "tap", "workers": (1,)},
}


@pytest.fixture(scope="session", params=SHAPES)
def any_lab(request):
    """One running switch for each shape, shared by the tests that leave it as they found it."""
    with Lab(**SHAPES[request.param]) as lab:
        yield lab
        lab.settle()


@pytest.fixture(scope="module", params=["af_packet-1", "af_packet-3"])
def lab(request):
    with Lab(**SHAPES[request.param]) as running:
        yield running


@pytest.fixture
def fresh():
    """A factory of switches with a configuration of their own."""
    made = []

    def make(**kw):
        one = Lab(**kw)
        made.append(one)
        return one.__enter__()

    yield make
    for one in made:
        one.close()
