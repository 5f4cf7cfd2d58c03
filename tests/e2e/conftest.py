# SPDX-License-Identifier: BSD-3-Clause
import pytest

from lab import Lab

SHAPES = {
    "af_packet-1": {"device": "af_packet", "workers": (1,)},
    "af_packet-3": {"device": "af_packet", "workers": (1, 1, 1)},
    "af_xdp-1": {"device": "af_xdp", "workers": (1,)},
    "af_xdp-3": {"device": "af_xdp", "workers": (1, 1, 1)},
    "tap-1": {"device": "tap", "workers": (1,)},
    "tap-3": {"device": "tap", "workers": (1, 1, 1)},
}


def pytest_configure(config):
    config.addinivalue_line("markers", "switch(fixture): the switch that a test of limits runs on")


@pytest.fixture(scope="session", params=["af_packet-1", "af_packet-3", "af_xdp-1", "tap-1"])
def any_lab(request):
    """One running switch for each shape, shared by the tests that leave it as they found it."""
    with Lab(**SHAPES[request.param]) as lab:
        yield lab
        lab.settle()


@pytest.fixture(scope="module", params=["af_packet-1", "af_packet-3"])
def lab(request):
    with Lab(**SHAPES[request.param]) as running:
        yield running


@pytest.fixture(autouse=True)
def peers_end_with_their_test(request):
    """A peer that a failed test left behind must not answer the next one's calls."""
    yield
    for name in ("lab", "any_lab"):
        if name in request.fixturenames:
            running = request.getfixturevalue(name)
            while running.children:
                running.children.pop().kill()


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
