"""Preference centre and suppression service.

Every "please don't" ends up in one ledger, and every marketing send asks it first.

Imports point one way, and ``tests/test_imports.py`` keeps it so::

    app.py -> webhooks, prefs.{web,api} -> prefs.edge -> prefs.wiring -> prefs.services
           -> prefs.{storage,providers,links,crypto} -> prefs.domain
    prefs.cli -> prefs.wiring

``prefs.client`` is for other programs and imports none of these.
"""

__version__ = "0.1.0"
