"""The JSON API under ``/v1`` (contract section 6)."""
