"""One file for each WHAT of `tflite-asr benchmark WHAT`."""
