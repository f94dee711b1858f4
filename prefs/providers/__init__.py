"""Outbound: one file per provider, all behind the two small interfaces in ``ports``."""
