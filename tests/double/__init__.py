"""A local double of the providers' APIs: it keeps state, refuses what they refuse, and fails on demand."""
