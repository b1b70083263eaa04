"""Turns layer groups and a loss into TFLite signatures that train on the device.

This package knows TensorFlow and nothing of speech: it sees a model through the protocols in `spec`.
"""
