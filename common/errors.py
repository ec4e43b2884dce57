"""What a user can mend; anything else that is raised is a fault of ours, and shows where it comes from."""


class UserError(Exception):
    """The message is one line for the user: what was wrong with which file or option, and what to do."""
