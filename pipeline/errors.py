"""What the user can mend is told in one sentence, without a traceback."""


class UserError(Exception):
    """A mistake in the user's files, parameters or environment.

    The message is one sentence that names the file, line or parameter and the way out.
    """
