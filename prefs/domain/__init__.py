"""The rules, as plain values and functions: standard library, idna and phonenumbers only."""
