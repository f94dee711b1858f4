"""The pages recipients meet; no login, no script needed."""
