"""The staff console under ``/admin``: one module a page; ``frame`` guards and dresses them all."""

from prefs.admin import (
    account,
    audit,
    catalogue,
    find,
    keys,
    overview,
    providers,
    requests,
    sign_in,
    single_sign_on,
    team,
    words,
)
from prefs.admin.frame import bp

PAGES = (account, audit, catalogue, find, keys, overview, providers, requests, sign_in, single_sign_on, team, words)

__all__ = ["PAGES", "bp"]
