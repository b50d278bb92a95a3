"""Tables of anyone's runs as ledger rows, so that every question can be asked of them."""
