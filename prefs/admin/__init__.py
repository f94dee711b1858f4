"""The staff console under ``/admin``: one module a page; ``frame`` guards and dresses them all."""

from prefs.admin import (
    account,
    audit,
    catalogue,
    decisions,
    exports,
    find,
    imports,
    keys,
    optout,
    overview,
    people,
    providers,
    queue,
    requests,
    sign_in,
    single_sign_on,
    suppressions,
    team,
    words,
)
from prefs.admin.frame import bp

PAGES = (
    account,
    audit,
    catalogue,
    decisions,
    exports,
    find,
    imports,
    keys,
    optout,
    overview,
    people,
    providers,
    queue,
    requests,
    sign_in,
    single_sign_on,
    suppressions,
    team,
    words,
)

__all__ = ["PAGES", "bp"]
