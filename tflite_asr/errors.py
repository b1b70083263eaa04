"""The one exception that means "the input is wrong, not the program"."""


class InputError(ValueError):
    """Bad input. The message is one line: what was expected, what came, where, and what to do.

    The command line prints the message alone and exits with code 2.
    """


class PartlyDoneError(InputError):
    """Some of several inputs were bad; what was made of the others is the result of the command, which is printed all
    the same.
    """

    def __init__(self, message: str, result: dict):
        super().__init__(message)
        self.result = result
