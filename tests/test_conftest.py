"""What tests leave behind: graphs, which would add up to more than a laptop's memory, and processes."""

import gc
import os
import subprocess
import weakref
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def conftest(request):
    return request.config.pluginmanager.getplugin(str(Path(__file__).with_name("conftest.py")))


def test_graphs_of_custom_gradients_are_freed(conftest):
    import tensorflow as tf

    @tf.custom_gradient
    def double(x):
        return 2 * x, lambda upstream: 2 * upstream

    def trace():
        with tf.Graph().as_default() as graph:
            double(tf.constant(1.0))
        return weakref.ref(graph)

    graph = trace()
    gc.collect()
    assert graph() is not None  # where TensorFlow frees it by itself, conftest need not
    conftest.give_graphs_back(least=1)
    assert graph() is None
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        square = x * x
    assert tape.gradient(square, x) == 6.0  # TensorFlow's own gradients are still registered


def test_processes_that_outlive_their_parent_are_found(conftest):
    environment = os.environ | {conftest.TESTED_BY: "a session of this test"}
    # the shell ends at once, what it started does not
    script = "sleep 60 > /dev/null 2>&1 & echo $!"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment)
    (left,) = conftest.processes_left("a session of this test", seconds=0)
    assert left == psutil.Process(int(shell.stdout)) and left.name() == "sleep"
    left.kill()
    assert conftest.processes_left("a session of this test", seconds=10) == []


def test_a_child_that_still_runs_has_not_outlived_its_parent(conftest):
    environment = os.environ | {conftest.TESTED_BY: "a session of this test"}
    with subprocess.Popen(["sleep", "60"], env=environment) as child:
        assert conftest.processes_left("a session of this test", seconds=0) == []
        child.kill()
