"""One use case a method, one transaction a use case."""
