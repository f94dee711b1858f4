"""The staff console under ``/admin``: one module a page; ``frame`` guards and dresses them all."""

from prefs.admin import account, find, overview, requests, sign_in
from prefs.admin.frame import bp

PAGES = (account, find, overview, requests, sign_in)

__all__ = ["PAGES", "bp"]
