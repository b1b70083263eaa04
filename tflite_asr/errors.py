"""The one exception that means "the input is wrong, not the program"."""


class InputError(ValueError):
    """Bad input, told in one line: what was expected, what came, where, and what to do.

    The command line prints the message alone and exits with code 2.
    """
