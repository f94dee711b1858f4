"""A1, the overview: what needs someone today, and how it goes."""

from flask.typing import ResponseReturnValue

from prefs.admin.access import allowed
from prefs.admin.frame import bp, show
from prefs.domain.roles import Right


@bp.get("/")
@allowed(Right.OVERVIEW)
def overview() -> ResponseReturnValue:
    """Show the overview."""
    return show("overview.html")
