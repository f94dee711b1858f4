"""The staff console under ``/admin``: one module a page; ``frame`` guards and dresses them all."""

from prefs.admin import account, decisions, find, optout, overview, people, queue, sign_in, suppressions
from prefs.admin.frame import bp

PAGES = (account, decisions, find, optout, overview, people, queue, sign_in, suppressions)

__all__ = ["PAGES", "bp"]
