"""Metrics: pure functions from predictions and gold to numbers in 0..1, higher is better."""
