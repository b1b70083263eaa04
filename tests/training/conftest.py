import pytest
import tensorflow as tf


@pytest.fixture
def eagerly():
    """A few steps are quicker than their compilation."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
