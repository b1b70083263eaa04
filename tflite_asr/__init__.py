"""On-device speech recognition that keeps learning: train, export and personalise `.tflite` recognisers.

Importing this package loads no TensorFlow. The device side is `tflite_asr.runtime` and
`tflite_asr.personalization`; the training side is `tflite_asr.models`, `tflite_asr.training` and
`tflite_asr.export`.
"""

__version__ = "0.1.0"
