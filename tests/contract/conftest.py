"""The shipped models as a host without this package has them."""

import pytest
from contract_host import Host


@pytest.fixture
def commands():
    """The shipped transducer, its weights as shipped."""
    return Host("commands")


@pytest.fixture(scope="module")
def english():
    """The shipped CTC model with a decoder. Its weights are not to be changed."""
    return Host("english")


@pytest.fixture(scope="module", params=["commands", "sentences", "english"])
def each(request):
    """Every shipped model. Its weights are not to be changed."""
    return Host(request.param)
