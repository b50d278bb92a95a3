"""The answers of `raystilts analyze` as text, tables and figures."""
