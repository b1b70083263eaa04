"""`python -m tflite_asr` is `tflite-asr`."""

import sys

from tflite_asr.cli.main import command_line

if __name__ == "__main__":
    sys.exit(command_line())
