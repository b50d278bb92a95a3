"""How each kind of task becomes sequences, and how outputs become predictions and scores."""
